//! How orders are listed: their messages, and the filters as they hold for every row.

use purveyor_sdk::Result;
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::v1::{GetOrderRequest, ListOrdersRequest, ListOrdersResponse, ListView, Order};

use crate::engine::listing::PageOf;
use crate::engine::listing::made::{MadeList, not_before};
use crate::engine::reading::read;

impl MadeList for Order {
    const LIST: Op = Op::ListOrders;
    type Request = ListOrdersRequest;
    type Response = ListOrdersResponse;

    fn rows(response: ListOrdersResponse) -> (Vec<Order>, String) {
        (response.orders, response.next_page_token)
    }

    fn view(request: &ListOrdersRequest) -> ListView {
        request.view()
    }

    async fn read(page: &PageOf, name: &str, upstream_ids: &[String]) -> Result<Order> {
        let request = GetOrderRequest { name: name.to_owned() };
        read(&page.provider, Op::GetOrder, &request, upstream_ids, page.deadline).await
    }

    fn matches(&self, request: &ListOrdersRequest) -> bool {
        (request.states.is_empty() || request.states.contains(&self.state))
            && (request.customer.is_empty() || request.customer == self.customer)
            && not_before(self.create_time.as_ref(), request.create_after.as_ref())
    }
}
