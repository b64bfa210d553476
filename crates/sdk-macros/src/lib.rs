//! `#[provider]`: makes the dispatch of a provider from the methods that its author marked. It must
//! not know what a method does, only what it is called and how it is declared.

mod attribute;
mod expand;

use proc_macro::TokenStream;
use syn::{ItemImpl, parse_macro_input};

/// On `impl Provider for …`: the methods marked with `#[method(…)]` become the provider's
/// capabilities, and nothing else is ever dispatched.
///
/// `#[method]` takes:
///
/// * `calls("a", "b")`: the upstream calls it makes, by their names in `CALLS`;
/// * `evidence = reference | natural | difference | none`: how a lost answer is found out; every write
///   says it, and nothing else;
/// * `absence_is_proof`, `price_known`, `asks_upstream`, `charges_at_once`, `leaves_unpaid`,
///   `takes_prices`;
/// * `max_items = 10`, `terms("P1M", "P1Y")`, `updates("quantity")`,
///   `cancel(immediately, at_term_end)`;
/// * `notice(reason = "NOT_FREE", message = "…", source = "…")`, as often as needed.
///
/// `identify`, `plan`, `baseline`, `poll` and `find` are taken when they are written; `#[method]` on
/// them may name their calls. Any other method needs `#[method]`, and without it does not compile.
#[proc_macro_attribute]
pub fn provider(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemImpl);
    expand::provider(&arguments.into(), item).into()
}
