//! Labels: each is an enum, so that its words are bounded and an instrument is found by its place,
//! not by comparing words.

use postrider_model::{Provider, Stream, WaitCause};

/// A label and all values that it can have.
pub trait Label: Copy + 'static {
    /// The label's name on the page.
    const NAME: &'static str;
    const ALL: &'static [Self];

    /// The value on the page.
    fn word(self) -> &'static str;

    /// Where it stands in `ALL`.
    fn place(self) -> usize;
}

/// Makes an enum that is a label:
/// `label!(/// Doc. pub(crate) Outcome is "outcome" { Opened = "opened", Failed = "failed" });`
#[macro_export]
macro_rules! label {
    ($(#[$doc:meta])* $vis:vis $name:ident is $label:literal {
        $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis enum $name { $($(#[$vdoc])* $variant),+ }

        impl $crate::Label for $name {
            const NAME: &'static str = $label;
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            fn place(self) -> usize {
                self as usize
            }
        }
    };
}

impl Label for WaitCause {
    const NAME: &'static str = "cause";
    const ALL: &'static [Self] = WaitCause::ALL;

    fn word(self) -> &'static str {
        self.as_str()
    }

    fn place(self) -> usize {
        self as usize
    }
}

impl Label for Stream {
    const NAME: &'static str = "stream";
    const ALL: &'static [Self] = Stream::ALL;

    fn word(self) -> &'static str {
        self.as_str()
    }

    fn place(self) -> usize {
        self as usize
    }
}

impl Label for Provider {
    const NAME: &'static str = "provider";
    const ALL: &'static [Self] = Provider::ALL;

    fn word(self) -> &'static str {
        self.as_str()
    }

    fn place(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_models_words_stand_at_their_places() {
        for (place, cause) in WaitCause::ALL.iter().enumerate() {
            assert_eq!(Label::place(*cause), place, "{cause}");
        }
        for (place, stream) in Stream::ALL.iter().enumerate() {
            assert_eq!(Label::place(*stream), place, "{stream}");
        }
        for (place, provider) in Provider::ALL.iter().enumerate() {
            assert_eq!(Label::place(*provider), place, "{provider}");
        }
    }
}
