//! The methods of the boundary in one table: what each is called, in the API and in Rust, and what
//! kind of call it is. Whoever needs to know this looks here; nobody keeps a second list.

use crate::plugin::v1::Op;

/// What a method is, seen from the boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OpKind {
    /// Answers a caller and changes nothing.
    Read,
    /// A write: its steps run under the journal.
    Write,
    /// Serves the gateway itself: quotes, evidence, progress.
    Engine,
}

/// One method of the boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpInfo {
    /// Its number.
    pub op: Op,
    /// What it is.
    pub kind: OpKind,
    /// The method of the API behind it, `Orders.CreateOrder`; empty for those that no caller sees.
    pub method: &'static str,
    /// The method of [`crate::Provider`].
    pub function: &'static str,
}

/// Every method, in the order of the numbers.
pub const OPS: &[OpInfo] = &[
    read(Op::ListProducts, "Products.ListProducts", "list_products"),
    read(Op::GetProduct, "Products.GetProduct", "get_product"),
    write(Op::CreateProduct, "Products.CreateProduct", "create_product"),
    write(Op::UpdateProduct, "Products.UpdateProduct", "update_product"),
    write(Op::DeleteProduct, "Products.DeleteProduct", "delete_product"),
    write(Op::CreateOrder, "Orders.CreateOrder", "create_order"),
    read(Op::GetOrder, "Orders.GetOrder", "get_order"),
    read(Op::ListOrders, "Orders.ListOrders", "list_orders"),
    write(Op::CancelOrder, "Orders.CancelOrder", "cancel_order"),
    read(Op::ListPaymentMethods, "Orders.ListPaymentMethods", "list_payment_methods"),
    write(Op::PayOrder, "Orders.PayOrder", "pay_order"),
    read(Op::GetOrderSecrets, "Orders.GetOrderSecrets", "get_order_secrets"),
    read(Op::ListServices, "Services.ListServices", "list_services"),
    read(Op::GetService, "Services.GetService", "get_service"),
    write(Op::UpdateService, "Services.UpdateService", "update_service"),
    write(Op::SuspendService, "Services.SuspendService", "suspend_service"),
    write(Op::ResumeService, "Services.ResumeService", "resume_service"),
    write(Op::TerminateService, "Services.TerminateService", "terminate_service"),
    OpInfo {
        op: Op::AdoptService,
        kind: OpKind::Engine,
        method: "Services.AdoptService",
        function: "adopt_service",
    },
    read(Op::ListRenewalOptions, "Renewals.ListRenewalOptions", "list_renewal_options"),
    write(Op::CreateRenewal, "Renewals.CreateRenewal", "create_renewal"),
    read(Op::GetRenewal, "Renewals.GetRenewal", "get_renewal"),
    read(Op::ListRenewals, "Renewals.ListRenewals", "list_renewals"),
    read(Op::CheckProvider, "Providers.CheckProvider", "check_provider"),
    engine(Op::Identify, "identify"),
    engine(Op::Plan, "plan"),
    engine(Op::Baseline, "baseline"),
    engine(Op::Poll, "poll"),
    engine(Op::Find, "find"),
];

/// What is known of `op`; `None` for OP_UNSPECIFIED.
pub fn info(op: Op) -> Option<&'static OpInfo> {
    OPS.iter().find(|info| info.op == op)
}

/// What kind of method `op` is; OP_UNSPECIFIED counts as the gateway's own.
pub const fn kind(op: Op) -> OpKind {
    let mut index = 0;
    while index < OPS.len() {
        if OPS[index].op as i32 == op as i32 {
            return OPS[index].kind;
        }
        index += 1;
    }
    OpKind::Engine
}

const fn read(op: Op, method: &'static str, function: &'static str) -> OpInfo {
    OpInfo { op, kind: OpKind::Read, method, function }
}

const fn write(op: Op, method: &'static str, function: &'static str) -> OpInfo {
    OpInfo { op, kind: OpKind::Write, method, function }
}

const fn engine(op: Op, function: &'static str) -> OpInfo {
    OpInfo { op, kind: OpKind::Engine, method: "", function }
}

#[cfg(test)]
mod tests {
    use super::{OPS, Op, OpKind, info, kind};

    #[test]
    fn every_number_is_in_the_table_once_and_in_order() {
        let numbers = OPS.iter().map(|info| info.op as i32).collect::<Vec<_>>();
        let known = (1..1000).filter(|number| Op::try_from(*number).is_ok()).collect::<Vec<_>>();
        assert_eq!(numbers, known);
    }

    #[test]
    fn names_agree_with_the_numbers() {
        for info in OPS {
            let name = info.op.as_str_name().trim_start_matches("OP_").to_ascii_lowercase();
            assert_eq!(info.function, name);
            let method = info.method.rsplit('.').next().unwrap_or_default();
            let unseen = info.kind == OpKind::Engine && info.op != Op::AdoptService;
            let expected = if unseen { "" } else { &name.replace('_', "") };
            assert_eq!(method.to_ascii_lowercase(), expected);
        }
    }

    #[test]
    fn kinds() {
        assert_eq!(kind(Op::CreateOrder), OpKind::Write);
        assert_eq!(kind(Op::GetOrder), OpKind::Read);
        assert_eq!(kind(Op::Unspecified), OpKind::Engine);
        assert_eq!(info(Op::Unspecified), None);
    }
}
