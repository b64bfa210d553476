//! The token of a list whose rows pass through as bytes: only the top level of the answer is walked,
//! and nothing but `next_page_token` is touched.

use bytes::{Buf, Bytes};
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use purveyor_sdk::{Error, Result};

/// `ListProductsResponse.next_page_token`.
const NEXT_PAGE_TOKEN: u32 = 2;

/// The answer with the upstream's cursor sealed. Without a cursor it is the same bytes, not copied.
///
/// # Errors
///
/// PLUGIN_FAULT for what is no message.
pub(super) fn with_token(answer: Bytes, seal: impl FnOnce(&[u8]) -> String) -> Result<Bytes> {
    let Some((rest, cursor)) = without_cursor(&answer)? else { return Ok(answer) };
    let mut sealed = rest;
    if !cursor.is_empty() {
        let token = seal(&cursor);
        prost::encoding::string::encode(NEXT_PAGE_TOKEN, &token, &mut sealed);
    }
    Ok(sealed.into())
}

/// Everything but the cursor, and the cursor; `None` where there is none.
fn without_cursor(answer: &Bytes) -> Result<Option<(Vec<u8>, Bytes)>> {
    let broken = |error: prost::DecodeError| {
        Error::fault("the plugin's answer cannot be decoded").with_source(error)
    };
    let mut rest = answer.clone();
    let mut kept: Vec<(usize, usize)> = Vec::new();
    let mut cursor = None;
    let at = |rest: &Bytes| answer.len() - rest.remaining();
    while rest.has_remaining() {
        let from = at(&rest);
        let (field, wire) = decode_key(&mut rest).map_err(broken)?;
        if field == NEXT_PAGE_TOKEN && wire == WireType::LengthDelimited {
            let length = decode_varint(&mut rest).map_err(broken)?;
            let length = usize::try_from(length).ok().filter(|it| *it <= rest.remaining());
            let length = length
                .ok_or_else(|| Error::fault("the plugin's answer ends inside its page token"))?;
            // As for every field that is not repeated, the last one counts.
            cursor = Some(rest.split_to(length));
        } else {
            skip_field(wire, field, &mut rest, DecodeContext::default()).map_err(broken)?;
            match kept.last_mut() {
                Some((_, to)) if *to == from => *to = at(&rest),
                _ => kept.push((from, at(&rest))),
            }
        }
    }
    let kept = || kept.iter().flat_map(|(from, to)| &answer[*from..*to]).copied().collect();
    Ok(cursor.map(|cursor| (kept(), cursor)))
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use purveyor_sdk::v1::{ErrorReason, ListProductsResponse, Product};

    use super::{Bytes, with_token};

    fn answer(products: usize, token: &str) -> ListProductsResponse {
        let product = |number: usize| Product {
            name: format!("providers/acme/products/{number}"),
            ..Product::default()
        };
        ListProductsResponse {
            products: (0..products).map(product).collect(),
            next_page_token: token.to_owned(),
            unreachable: Vec::new(),
        }
    }

    fn sealed(bytes: Vec<u8>) -> Result<Bytes, ErrorReason> {
        let seal = |cursor: &[u8]| format!("<{}>", String::from_utf8_lossy(cursor));
        with_token(Bytes::from(bytes), seal).map_err(|error| error.reason)
    }

    #[test]
    fn only_the_token_is_changed() {
        fn check(products: usize, token: &str, expected: &str) {
            let bytes = sealed(answer(products, token).encode_to_vec()).unwrap();
            let found = ListProductsResponse::decode(bytes).unwrap();
            assert_eq!(found, answer(products, expected));
        }
        check(0, "", "");
        check(3, "", "");
        check(3, "17", "<17>");
        check(0, "17", "<17>");
    }

    #[test]
    fn without_a_cursor_nothing_is_copied() {
        let bytes = Bytes::from(answer(3, "").encode_to_vec());
        let same = with_token(bytes.clone(), |_| String::new()).unwrap();
        assert_eq!(same.as_ptr(), bytes.as_ptr());
    }

    #[test]
    fn fields_in_any_order_and_the_last_token_counts() {
        let mut bytes = answer(0, "first").encode_to_vec();
        bytes.extend(answer(1, "").encode_to_vec());
        bytes.extend(answer(0, "last").encode_to_vec());
        bytes.extend(answer(1, "").encode_to_vec());
        let product = answer(1, "").encode_to_vec();
        let expected = [product.clone(), product, answer(0, "<last>").encode_to_vec()].concat();
        assert_eq!(sealed(bytes).unwrap(), expected);
    }

    #[test]
    fn what_is_no_message_is_the_plugins_fault() {
        for bytes in [&[0x12, 0x05, b'a'][..], &[0x12], &[0x0a, 0x7f], &[0xff], &[0x00, 0x01]] {
            assert_eq!(sealed(bytes.to_vec()), Err(ErrorReason::PluginFault), "{bytes:?}");
        }
    }
}
