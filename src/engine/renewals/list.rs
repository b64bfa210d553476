//! How renewals are listed: their messages, and the filters as they hold for every row.

use purveyor_sdk::Result;
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::v1::{
    GetRenewalRequest, ListRenewalsRequest, ListRenewalsResponse, ListView, Renewal,
};

use crate::engine::listing::PageOf;
use crate::engine::listing::made::{MadeList, not_before};
use crate::engine::reading::read;

impl MadeList for Renewal {
    const LIST: Op = Op::ListRenewals;
    type Request = ListRenewalsRequest;
    type Response = ListRenewalsResponse;

    fn rows(response: ListRenewalsResponse) -> (Vec<Renewal>, String) {
        (response.renewals, response.next_page_token)
    }

    fn view(request: &ListRenewalsRequest) -> ListView {
        request.view()
    }

    async fn read(page: &PageOf, name: &str, upstream_ids: &[String]) -> Result<Renewal> {
        let request = GetRenewalRequest { name: name.to_owned() };
        read(&page.provider, Op::GetRenewal, &request, upstream_ids, page.deadline).await
    }

    fn matches(&self, request: &ListRenewalsRequest) -> bool {
        let of_service = request.service.is_empty()
            || request.service == self.service
            || self.services.iter().any(|renewed| renewed.service == request.service);
        of_service
            && (request.states.is_empty() || request.states.contains(&self.state))
            && not_before(self.create_time.as_ref(), request.create_after.as_ref())
    }
}
