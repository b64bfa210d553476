//! Operations as a table for people. What does not fit into one line is for `show`.

use purveyor_sdk::v1::Operation;

use super::show;
use crate::cli::columns::headed;

/// One row for each operation, in the order given.
pub(crate) fn render(operations: &[Operation]) -> String {
    if operations.is_empty() {
        return "no operations".to_owned();
    }
    let mut table = headed(&["NAME", "STATE", "METHOD", "TARGET", "ACCEPTED", "MESSAGE"]);
    for operation in operations {
        table.add_row([
            operation.name.as_str(),
            show::state(operation),
            &operation.method,
            &operation.target,
            &show::time(operation.create_time.as_ref()),
            &show::one_line(&operation.message),
        ]);
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use purveyor_sdk::prost_types::Timestamp;
    use purveyor_sdk::v1::operation::State;

    use super::*;

    #[test]
    fn rows_are_aligned() {
        let one = Operation {
            name: "operations/a".to_owned(),
            state: State::NeedsOperator.into(),
            method: "Orders.CreateOrder".to_owned(),
            target: "providers/acme/orders/a".to_owned(),
            create_time: Some(Timestamp { seconds: 1_800_000_000, nanos: 0 }),
            message: "two candidates\nwere found".to_owned(),
            ..Operation::default()
        };
        let two = Operation { name: "operations/bcd".to_owned(), ..Operation::default() };

        let rendered = render(&[one, two]);

        let lines: Vec<&str> = rendered.lines().map(str::trim).collect();
        assert_eq!(
            lines,
            [
                "NAME            STATE           METHOD              TARGET                   ACCEPTED              MESSAGE",
                "operations/a    NEEDS_OPERATOR  Orders.CreateOrder  providers/acme/orders/a  2027-01-15T08:00:00Z  two candidates were found",
                "operations/bcd  UNSPECIFIED                                                  -",
            ]
        );
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        assert_eq!(render(&[]), "no operations");
    }
}
