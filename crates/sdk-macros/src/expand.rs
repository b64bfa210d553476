//! What `#[provider]` writes: the implementation as it was, the dispatch over its methods, and the
//! constants that check the declarations while the plugin is compiled.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{Attribute, Ident, ImplItem, ImplItemFn, ItemImpl, Result, Type};

use crate::attribute::{Method, variant};

/// The methods of the API that only read.
const READS: [&str; 12] = [
    "check_provider",
    "list_products",
    "get_product",
    "get_order",
    "list_orders",
    "list_payment_methods",
    "get_order_secrets",
    "list_services",
    "get_service",
    "list_renewal_options",
    "get_renewal",
    "list_renewals",
];

/// The methods of the API that write.
const WRITES: [&str; 11] = [
    "create_product",
    "update_product",
    "delete_product",
    "create_order",
    "cancel_order",
    "pay_order",
    "update_service",
    "suspend_service",
    "resume_service",
    "terminate_service",
    "create_renewal",
];

/// What the gateway asks for itself.
const ENGINE: [&str; 5] = ["identify", "plan", "baseline", "poll", "find"];

struct Marked {
    name: Ident,
    method: Method,
}

pub(crate) fn provider(arguments: &TokenStream, mut item: ItemImpl) -> TokenStream {
    let marks = take_marks(&mut item);
    // The implementation stays even beside an error, so that nothing else seems to be wrong with it.
    match checked(arguments, &item, &marks) {
        Ok(marked) => {
            let dispatch = dispatch(&item.self_ty, &marked);
            let checks = checks(&item.self_ty, &marked);
            quote!(#item #dispatch #checks)
        }
        Err(error) => {
            let error = error.into_compile_error();
            quote!(#item #error)
        }
    }
}

/// Takes `#[method]` off every method of the implementation, which rustc must not see.
fn take_marks(item: &mut ItemImpl) -> Vec<(Ident, Vec<Attribute>)> {
    let mut taken = Vec::new();
    for entry in &mut item.items {
        if let ImplItem::Fn(ImplItemFn { attrs, sig, .. }) = entry {
            let (marks, rest) = attrs.drain(..).partition(|one| one.path().is_ident("method"));
            *attrs = rest;
            taken.push((sig.ident.clone(), marks));
        }
    }
    taken
}

fn checked(
    arguments: &TokenStream,
    item: &ItemImpl,
    marks: &[(Ident, Vec<Attribute>)],
) -> Result<Vec<Marked>> {
    if !arguments.is_empty() {
        return Err(syn::Error::new_spanned(arguments, "#[provider] takes nothing"));
    }
    let is_provider = item.trait_.as_ref().is_some_and(|(_, path, _)| {
        path.segments.last().is_some_and(|segment| segment.ident == "Provider")
    });
    if !is_provider {
        return Err(syn::Error::new_spanned(&item.self_ty, "expected `impl Provider for …`"));
    }
    let read = marks.iter().map(|(name, marks)| read(name, marks));
    Ok(read.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// What the marks of a method say; `None` for `open`, which is no method.
fn read(name: &Ident, marks: &[Attribute]) -> Result<Option<Marked>> {
    let text = name.to_string();
    let of_the_api = READS.contains(&text.as_str()) || WRITES.contains(&text.as_str());
    let of_the_engine = ENGINE.contains(&text.as_str());
    match marks {
        [] if of_the_api => Err(syn::Error::new(
            name.span(),
            format!("{text} needs #[method]: without it nobody would ever call it"),
        )),
        [] if of_the_engine => Ok(Some(Marked { name: name.clone(), method: Method::default() })),
        [] => Ok(None),
        [mark] if of_the_api || of_the_engine => {
            Ok(Some(Marked { name: name.clone(), method: Method::parse(mark)? }))
        }
        [_] => Err(syn::Error::new(name.span(), format!("there is no method {text} to be called"))),
        [_, second, ..] => Err(syn::Error::new_spanned(second, "#[method] is there twice")),
    }
}

fn dispatch(provider: &Type, marked: &[Marked]) -> TokenStream {
    let methods = marked.iter().map(|Marked { name, method }| {
        let (op, fields) = (variant(name), method.fields());
        quote! {
            ::purveyor_sdk::declare::Method {
                #fields
                ..::purveyor_sdk::declare::Method::new(::purveyor_sdk::plugin::v1::Op::#op)
            }
        }
    });
    let arms = marked.iter().map(|Marked { name, .. }| arm(provider, name));
    quote! {
        impl ::purveyor_sdk::dispatch::Dispatch for #provider {
            const METHODS: &'static [::purveyor_sdk::declare::Method] = &[#(#methods),*];
            const VERSION: &'static str = ::core::env!("CARGO_PKG_VERSION");

            fn dispatch(
                call: ::purveyor_sdk::dispatch::Started<'_, Self>,
            ) -> ::core::result::Result<
                ::purveyor_sdk::abi::ReplyFuture,
                ::purveyor_sdk::abi::Code,
            > {
                match call.op() {
                    #(#arms)*
                    _ => ::core::result::Result::Err(::purveyor_sdk::abi::Code::UNKNOWN_OP),
                }
            }
        }
    }
}

fn arm(provider: &Type, name: &Ident) -> TokenStream {
    let op = variant(name);
    let text = name.to_string();
    let call = quote_spanned!(name.span()=> <#provider as ::purveyor_sdk::Provider>::#name);
    let start = match text.as_str() {
        "identify" => {
            quote! {
                call.identify(|provider, cx| async move { #call(&*provider, &cx).await })
            }
        }
        _ => {
            let kind = if READS.contains(&text.as_str()) {
                Ident::new("read", name.span())
            } else if WRITES.contains(&text.as_str()) {
                Ident::new("write", name.span())
            } else {
                name.clone()
            };
            quote! {
                call.#kind(|provider, cx, request| async move {
                    #call(&*provider, &cx, request).await
                })
            }
        }
    };
    quote!(::purveyor_sdk::plugin::v1::Op::#op => #start,)
}

/// Constants that do not compile when the declarations contradict each other, each at the place that
/// is wrong.
fn checks(provider: &Type, marked: &[Marked]) -> TokenStream {
    let calls = quote!(<#provider as ::purveyor_sdk::Provider>::CALLS);
    let proofs = quote!(<#provider as ::purveyor_sdk::Provider>::PROOFS);
    let methods = quote!(<#provider as ::purveyor_sdk::dispatch::Dispatch>::METHODS);
    let checks = marked.iter().enumerate().map(|(index, Marked { name, method })| {
        let named = method.calls.iter().map(|call| {
            quote_spanned! {call.span()=>
                const _: () = ::purveyor_sdk::declare::check::call_of(
                    &#methods[#index], #calls, #call,
                );
            }
        });
        let whole = quote_spanned! {name.span()=>
            const _: () = ::purveyor_sdk::declare::check::method(&#methods[#index], #calls);
        };
        quote!(#(#named)* #whole)
    });
    quote! {
        const _: () = ::purveyor_sdk::declare::check::tables(#calls, #proofs);
        #(#checks)*
    }
}
