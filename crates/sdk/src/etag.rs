//! Etags: one function over all fields of a resource, the same in every plugin and in the gateway.
//! Only a FULL view may be sealed; a row that shows less has no etag.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost::Message;
use sha2::{Digest, Sha256};

use crate::v1::{Order, Product, Renewal, Service};

/// The bytes of the hash that an etag shows: 96 bits tell versions of one resource apart.
const BYTES: usize = 12;

/// A resource with an etag.
pub trait Tagged: Message + Clone + Default {
    /// What tells the nouns apart in the hash.
    const NOUN: &'static str;

    /// Where the etag stands.
    fn etag_mut(&mut self) -> &mut String;
}

/// The etag of a resource: a hash over all its fields but the etag itself, annotations included. The
/// encoding is deterministic because every map in it is sorted.
pub fn of<T: Tagged>(resource: &T) -> String {
    let mut resource = resource.clone();
    resource.etag_mut().clear();
    let mut hash = Sha256::new();
    hash.update(T::NOUN);
    hash.update(resource.encode_to_vec());
    URL_SAFE_NO_PAD.encode(&hash.finalize()[..BYTES])
}

/// The resource with its etag.
#[must_use]
pub fn seal<T: Tagged>(mut resource: T) -> T {
    *resource.etag_mut() = of(&resource);
    resource
}

macro_rules! tagged {
    ($($noun:ident: $name:literal),*) => {$(
        impl Tagged for $noun {
            const NOUN: &'static str = $name;

            fn etag_mut(&mut self) -> &mut String {
                &mut self.etag
            }
        }
    )*};
}

tagged!(Product: "product", Order: "order", Service: "service", Renewal: "renewal");

#[cfg(test)]
mod tests {
    use super::{Order, Product, Service, of, seal};

    #[test]
    fn every_field_counts_but_the_etag() {
        let product = Product { name: "providers/a/products/b".to_owned(), ..Product::default() };
        let sealed = seal(product.clone());
        assert_eq!(sealed.etag.len(), 16);
        assert_eq!(of(&sealed), sealed.etag);
        let mut annotated = sealed.clone();
        annotated.annotations.insert("team".to_owned(), "blue".to_owned());
        assert_ne!(of(&annotated), sealed.etag);
        let other = Product { display_name: "b".to_owned(), ..product };
        assert_ne!(of(&other), sealed.etag);
    }

    #[test]
    fn the_order_of_annotations_does_not_count() {
        let tagged = |pairs: [(&str, &str); 2]| {
            let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
            of(&Order { annotations: pairs.into(), ..Order::default() })
        };
        assert_eq!(tagged([("a", "1"), ("b", "2")]), tagged([("b", "2"), ("a", "1")]));
        assert_ne!(tagged([("a", "1"), ("b", "2")]), tagged([("a", "2"), ("b", "1")]));
    }

    #[test]
    fn nouns_with_the_same_bytes_differ() {
        assert_ne!(of(&Order::default()), of(&Service::default()));
    }

    #[test]
    fn the_hash_does_not_change_between_versions() {
        let name = "providers/a/services/1".to_owned();
        assert_eq!(of(&Service { name, ..Service::default() }), "lRFS2_Isbor_Bz38");
    }
}
