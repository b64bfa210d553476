//! The switches of the simulated upstream: what its document leaves open. It must hold settings only,
//! no state.

use serde::{Deserialize, Serialize};

/// Every switch. A command changes those it names and leaves the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mode {
    /// Which HTTP status an error has.
    pub errors: ErrorStyle,
    /// The name of the member that holds an error's code.
    pub code_member: String,
    /// What a suspension, a resumption or a termination answers that changes nothing.
    pub repeats: Repeats,
    /// What a termination answers.
    pub termination: Termination,
    /// How amounts are written in the details of a plan.
    pub amounts: AmountStyle,
    /// A new service gets the number of one that was terminated, where there is one.
    pub reuse_ids: bool,
}

/// Which HTTP status an error has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorStyle {
    /// 200, as every other answer.
    #[default]
    Ok,
    /// The one of HTTP that fits: 400, 401, 403, 404.
    Http,
}

/// What a change answers that changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repeats {
    /// The same as the first time.
    #[default]
    Success,
    /// An error.
    Refused,
}

/// What a termination answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Termination {
    /// A status and a message, as its siblings.
    #[default]
    Told,
    /// An object without members.
    Blank,
}

/// How amounts are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AmountStyle {
    /// As a number: `528.14`.
    #[default]
    Number,
    /// As a text: `"528.14"`.
    Text,
}

impl Default for Mode {
    fn default() -> Self {
        Self {
            errors: ErrorStyle::default(),
            code_member: "error_code".to_owned(),
            repeats: Repeats::default(),
            termination: Termination::default(),
            amounts: AmountStyle::default(),
            reuse_ids: false,
        }
    }
}
