//! The guide's example program in three canonical calls: what is offered, renew and pay, look.

use purveyor_sdk::Period;
use purveyor_sdk::plugin::v1::Op;
use purveyor_sdk::v1::renewal::State;
use purveyor_sdk::v1::{CreateRenewalRequest, Renewal, Term};

use super::driver::{Bench, day, paypal};

#[tokio::test]
async fn the_guide_in_three_calls() {
    let bench = Bench::new().await;
    // The service by its name, and the period for it alone.
    let offered = bench.options("vps112233.ovh.net", false).await.unwrap().renewal_options;
    let period = |term: &Option<Term>| term.as_ref().unwrap().period.clone();
    let wanted = offered.iter().filter(|option| period(&option.term) == "P3M");
    let wanted: Vec<_> = wanted.filter(|option| option.services.len() == 1).collect();
    let [option] = wanted.as_slice() else { panic!("{offered:#?}") };
    assert_eq!(option.services[0].service, "providers/test/services/12345");

    let renewal = Renewal {
        service: option.services[0].service.clone(),
        services: option.services.clone(),
        term: Some(Term::recurring(Period::Months(3), "")),
        ..Renewal::default()
    };
    let request = CreateRenewalRequest {
        parent: "providers/test".to_owned(),
        renewal: Some(renewal),
        payment: Some(paypal()),
        ..CreateRenewalRequest::default()
    };
    let renewed = bench.run(Op::CreateRenewal, &request, "").await.renewal();
    assert_eq!(renewed.services[0].new_expire_time, Some(day("2099-06-30")));
    assert_eq!(bench.made_and_paid(), (1, 1));
    let sale = &bench.upstream.ledger()[1].sale;
    assert_eq!((sale.operation_id.as_str(), sale.duration.as_deref()), ("123456789", Some("P3M")));

    let shown = bench.renewal(renewed.upstream.unwrap().id()).await.unwrap();
    assert_eq!((shown.state(), shown.order), (State::Completed, renewed.order));
    assert_eq!(shown.services[0].service, "providers/test/services/12345");
    assert_eq!(period(&shown.term), "P3M");
}
