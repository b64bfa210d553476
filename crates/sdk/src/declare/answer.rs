//! What answers look like, as a plugin declares it: the shape of success, and the proof of refusal. It
//! must not look at an answer; `body` does.

use crate::plugin::v1::BodyFormat;

/// The most conditions of one shape or proof; a fifth fails to compile.
pub const MAX_CONDITIONS: usize = 4;

/// Conditions on an answer's body, all of which have to hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conditions {
    slots: [Option<(&'static str, Test)>; MAX_CONDITIONS],
}

/// What has to stand at a place.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Test {
    Exists,
    Equals(&'static str),
    Prefix(&'static str),
    Suffix(&'static str),
    /// Whether the configuration adds to the words.
    Words(&'static [&'static str], bool),
    IsNull,
}

impl Conditions {
    const NONE: Self = Self { slots: [None; MAX_CONDITIONS] };

    const fn and(mut self, pointer: &'static str, test: Test) -> Self {
        let mut index = 0;
        while index < MAX_CONDITIONS {
            if self.slots[index].is_none() {
                self.slots[index] = Some((pointer, test));
                return self;
            }
            index += 1;
        }
        panic!("a shape or proof has too many conditions");
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, Test)> {
        self.slots.into_iter().flatten()
    }
}

/// The conditions on a body that shapes and proofs have in common.
macro_rules! conditions {
    ($type:ty) => {
        impl $type {
            /// Only for statuses from `min` to `max`, both included.
            #[must_use]
            pub const fn statuses(self, min: u16, max: u16) -> Self {
                Self { statuses: (min, max), ..self }
            }

            /// Something stands at the JSON pointer, be it null.
            #[must_use]
            pub const fn exists(self, pointer: &'static str) -> Self {
                Self { conditions: self.conditions.and(pointer, Test::Exists), ..self }
            }

            /// Exactly this stands there, as text.
            #[must_use]
            pub const fn equals(self, pointer: &'static str, text: &'static str) -> Self {
                Self { conditions: self.conditions.and(pointer, Test::Equals(text)), ..self }
            }

            /// Text that begins so stands there.
            #[must_use]
            pub const fn prefix(self, pointer: &'static str, text: &'static str) -> Self {
                Self { conditions: self.conditions.and(pointer, Test::Prefix(text)), ..self }
            }

            /// Text that ends so stands there.
            #[must_use]
            pub const fn suffix(self, pointer: &'static str, text: &'static str) -> Self {
                Self { conditions: self.conditions.and(pointer, Test::Suffix(text)), ..self }
            }

            /// One of these words stands there, as the whole text. Case and surrounding spaces do
            /// not count; a number is no word.
            #[must_use]
            pub const fn words(
                self,
                pointer: &'static str,
                words: &'static [&'static str],
            ) -> Self {
                Self { conditions: self.conditions.and(pointer, Test::Words(words, false)), ..self }
            }

            /// Null stands there.
            #[must_use]
            pub const fn is_null(self, pointer: &'static str) -> Self {
                Self { conditions: self.conditions.and(pointer, Test::IsNull), ..self }
            }
        }
    };
}

/// The shape of an answer that accepts a request.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub(crate) statuses: (u16, u16),
    pub(crate) format: BodyFormat,
    pub(crate) conditions: Conditions,
    pub(crate) id_pointer: &'static str,
    pub(crate) id_kind: &'static str,
    pub(crate) id_after: &'static str,
}

conditions!(Shape);

impl Shape {
    /// Any complete 2xx; the body is not looked into.
    pub const fn any() -> Self {
        let (format, conditions) = (BodyFormat::Unspecified, Conditions::NONE);
        Self { statuses: (200, 299), format, conditions, id_pointer: "", id_kind: "", id_after: "" }
    }

    /// A 2xx with a JSON document.
    pub const fn json() -> Self {
        Self { format: BodyFormat::Json, ..Self::any() }
    }

    /// A 2xx with a JSON document in which the identifier of what was made stands at `pointer`.
    pub const fn json_id(pointer: &'static str, kind: &'static str) -> Self {
        Self { id_pointer: pointer, id_kind: kind, ..Self::json() }
    }

    /// The identifier is not all that stands at its pointer, but the run of digits after `text`, which
    /// has to stand there exactly once.
    #[must_use]
    pub const fn digits_after(self, text: &'static str) -> Self {
        Self { id_after: text, ..self }
    }

    /// A 200 with an XML-RPC response that is no fault.
    pub const fn xml_rpc() -> Self {
        let shape = Self { statuses: (200, 200), format: BodyFormat::XmlRpc, ..Self::any() };
        shape.exists("/params/0")
    }

    /// A 200 with an XML-RPC response in which the identifier of what was made stands at `pointer`
    /// (`/params/0/id`).
    pub const fn xml_rpc_id(pointer: &'static str, kind: &'static str) -> Self {
        Self { id_pointer: pointer, id_kind: kind, ..Self::xml_rpc() }
    }
}

/// An answer that proves that nothing was done.
#[derive(Debug, Clone, Copy)]
pub struct Proof {
    pub(crate) name: &'static str,
    pub(crate) statuses: (u16, u16),
    pub(crate) format: BodyFormat,
    pub(crate) conditions: Conditions,
    pub(crate) may_repeat: bool,
}

conditions!(Proof);

impl Proof {
    /// A proof of this name, for status 400 until [`Proof::statuses`] says otherwise.
    pub const fn new(name: &'static str) -> Self {
        let (format, conditions) = (BodyFormat::Unspecified, Conditions::NONE);
        Self { name, statuses: (400, 400), format, conditions, may_repeat: false }
    }

    /// Only with a JSON body.
    #[must_use]
    pub const fn json(self) -> Self {
        Self { format: BodyFormat::Json, ..self }
    }

    /// As [`Proof::words`]; the operator may add words by `refusal_words`. Without a word of its own the
    /// proof holds only by those.
    #[must_use]
    pub const fn refusal_words(
        self,
        pointer: &'static str,
        words: &'static [&'static str],
    ) -> Self {
        Self { conditions: self.conditions.and(pointer, Test::Words(words, true)), ..self }
    }

    /// Only with an XML-RPC body.
    #[must_use]
    pub const fn xml_rpc(self) -> Self {
        Self { format: BodyFormat::XmlRpc, ..self }
    }

    /// Another attempt may follow.
    #[must_use]
    pub const fn may_repeat(self) -> Self {
        Self { may_repeat: true, ..self }
    }
}
