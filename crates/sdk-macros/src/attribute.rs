//! Reading `#[method(…)]`. Values are checked here as far as their spelling goes; whether a call of
//! that name exists is checked in a constant of what is expanded.

use proc_macro2::TokenStream;
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::punctuated::Punctuated;
use syn::{Attribute, Ident, LitInt, LitStr, Meta, Result, Token, parenthesized};

/// What one attribute says.
#[derive(Default)]
pub(crate) struct Method {
    pub(crate) calls: Vec<LitStr>,
    evidence: Option<Ident>,
    confirmation: Option<Ident>,
    effect_lag: Option<LitInt>,
    flags: Vec<Ident>,
    max_items: Option<LitInt>,
    terms: Vec<LitStr>,
    updates: Vec<LitStr>,
    cancel: Vec<Ident>,
    notices: Vec<Notice>,
    seen: Vec<String>,
}

struct Notice {
    reason: LitStr,
    message: LitStr,
    source: LitStr,
}

/// The words that need no value; each is a field of `declare::Method`.
const FLAGS: [&str; 6] = [
    "absence_is_proof",
    "price_known",
    "asks_upstream",
    "charges_at_once",
    "leaves_unpaid",
    "takes_prices",
];

impl Method {
    pub(crate) fn parse(attribute: &Attribute) -> Result<Self> {
        let mut method = Self::default();
        match &attribute.meta {
            Meta::Path(_) => {}
            Meta::List(list) => list.parse_nested_meta(|meta| method.word(&meta))?,
            Meta::NameValue(value) => {
                return Err(syn::Error::new_spanned(value, "expected #[method(…)]"));
            }
        }
        Ok(method)
    }

    fn word(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let Some(word) = meta.path.get_ident() else {
            return Err(meta.error("expected one word"));
        };
        let name = word.to_string();
        if name != "notice" && self.seen.contains(&name) {
            return Err(meta.error(format!("{name} is said twice")));
        }
        match name.as_str() {
            "calls" => self.calls = strings(meta)?,
            "terms" => self.terms = strings(meta)?,
            "updates" => self.updates = strings(meta)?,
            "cancel" => self.cancel = cancel_policies(meta)?,
            "evidence" => self.evidence = Some(evidence(meta)?),
            "confirmation" => self.confirmation = Some(confirmation(meta)?),
            "effect_lag" => self.effect_lag = Some(meta.value()?.parse()?),
            "max_items" => self.max_items = Some(meta.value()?.parse()?),
            "notice" => self.notices.push(Notice::parse(meta)?),
            flag if FLAGS.contains(&flag) => self.flags.push(word.clone()),
            _ => return Err(meta.error(format!("#[method] does not know {name}"))),
        }
        self.seen.push(name);
        Ok(())
    }

    /// The fields of `declare::Method` that are said, the op aside.
    pub(crate) fn fields(&self) -> TokenStream {
        let Self { calls, terms, updates, flags, max_items, effect_lag, .. } = self;
        let words = self.words();
        let (max_items, effect_lag) = (max_items.iter(), effect_lag.iter());
        quote! {
            calls: &[#(#calls),*],
            terms: &[#(#terms),*],
            updates: &[#(#updates),*],
            #(#flags: true,)*
            #(max_items: #max_items,)*
            #(effect_lag_seconds: #effect_lag,)*
            #words
        }
    }

    /// The fields whose values are words of an enum, or notices.
    fn words(&self) -> TokenStream {
        let evidence = self.evidence.iter().map(variant);
        let confirmation = self.confirmation.iter().map(variant);
        let cancel = self.cancel.iter().map(variant);
        let notices = self.notices.iter().map(|Notice { reason, message, source }| {
            quote!(::purveyor_sdk::declare::Note::new(#reason, #message, #source))
        });
        quote! {
            #(evidence: ::purveyor_sdk::v1::Evidence::#evidence,)*
            #(confirmation: ::purveyor_sdk::v1::Confirmation::#confirmation,)*
            cancel: &[#(::purveyor_sdk::v1::CancelPolicy::#cancel),*],
            notices: &[#(#notices),*],
        }
    }
}

impl Notice {
    fn parse(meta: &ParseNestedMeta<'_>) -> Result<Self> {
        let (mut reason, mut message, mut source) = (None, None, None);
        meta.parse_nested_meta(|meta| {
            let part = match () {
                () if meta.path.is_ident("reason") => &mut reason,
                () if meta.path.is_ident("message") => &mut message,
                () if meta.path.is_ident("source") => &mut source,
                () => return Err(meta.error("a notice has reason, message and source")),
            };
            *part = Some(meta.value()?.parse::<LitStr>()?);
            Ok(())
        })?;
        match (reason, message, source) {
            (Some(reason), Some(message), Some(source)) => Ok(Self { reason, message, source }),
            _ => Err(meta.error("a notice needs reason, message and source")),
        }
    }
}

fn strings(meta: &ParseNestedMeta<'_>) -> Result<Vec<LitStr>> {
    let content;
    parenthesized!(content in meta.input);
    let list = Punctuated::<LitStr, Token![,]>::parse_terminated(&content)?;
    Ok(list.into_iter().collect())
}

fn evidence(meta: &ParseNestedMeta<'_>) -> Result<Ident> {
    one_of(meta, &["reference", "natural", "difference", "none"])
}

fn confirmation(meta: &ParseNestedMeta<'_>) -> Result<Ident> {
    one_of(meta, &["read", "answer"])
}

fn one_of(meta: &ParseNestedMeta<'_>, words: &[&str]) -> Result<Ident> {
    let word: Ident = meta.value()?.parse()?;
    if words.contains(&word.to_string().as_str()) {
        return Ok(word);
    }
    let name = meta.path.get_ident().map(Ident::to_string).unwrap_or_default();
    Err(syn::Error::new(word.span(), format!("{name} is one of {}", words.join(", "))))
}

fn cancel_policies(meta: &ParseNestedMeta<'_>) -> Result<Vec<Ident>> {
    let content;
    parenthesized!(content in meta.input);
    let list = Punctuated::<Ident, Token![,]>::parse_terminated(&content)?;
    for word in &list {
        if word != "immediately" && word != "at_term_end" {
            return Err(syn::Error::new(word.span(), "cancel takes immediately and at_term_end"));
        }
    }
    Ok(list.into_iter().collect())
}

/// The variant of an enum that a word in snake case stands for.
pub(crate) fn variant(word: &Ident) -> Ident {
    let text = word.to_string();
    let parts = text.split('_').map(|part| {
        let mut letters = part.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    });
    Ident::new(&parts.collect::<String>(), word.span())
}
