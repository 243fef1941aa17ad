//! Why a value has no canonical form, or a text no value.

/// What keeps a value from having one canonical form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CanonicalError {
    /// An integer that some JSON readers would round.
    #[error("{}: the number {found} is outside ±(2^53−1), where JSON readers round; send it as a string", place(.at))]
    UnsafeInteger {
        /// A JSON pointer, empty for the whole value.
        at: String,
        /// The number.
        found: String,
    },
    /// An infinity or a NaN, which JSON cannot write.
    #[error("{}: {found} is not a finite number; leave the member out or send a string", place(.at))]
    NotFinite {
        /// A JSON pointer, empty for the whole value.
        at: String,
        /// The number.
        found: String,
    },
    /// A single-precision number: widened, 0.1 reads 0.10000000149011612, so one value has two texts.
    #[error("{}: {found} is a single-precision number; make it a double or a string", place(.at))]
    SinglePrecision {
        /// A JSON pointer, empty for the whole value.
        at: String,
        /// The number.
        found: String,
    },
    /// Arrays and objects inside each other, deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    #[error("{}: nested deeper than {} levels; flatten the value", place(.at), super::MAX_DEPTH)]
    TooDeep {
        /// A JSON pointer to where the limit was passed.
        at: String,
    },
    /// The text is not JSON, or not JSON of the kind that has one meaning (RFC 7493).
    #[error("not acceptable JSON: {problem}")]
    NotJson {
        /// What is wrong, and where.
        problem: String,
    },
}

impl CanonicalError {
    /// The same error, seen from one level further out.
    pub(super) fn inside(mut self, segment: impl std::fmt::Display) -> Self {
        match &mut self {
            Self::UnsafeInteger { at, .. }
            | Self::NotFinite { at, .. }
            | Self::SinglePrecision { at, .. }
            | Self::TooDeep { at } => {
                let escaped = segment.to_string().replace('~', "~0").replace('/', "~1");
                at.insert_str(0, &format!("/{escaped}"));
            }
            Self::NotJson { .. } => {}
        }
        self
    }
}

fn place(at: &str) -> String {
    if at.is_empty() { "the value".to_owned() } else { format!("the value at {at}") }
}
