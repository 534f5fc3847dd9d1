//! What a handler takes and answers, as its types say it: who may call, how long the body may be, what comes back.

use std::any::type_name;

/// The names of a handler's types, without their modules.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signature {
    /// What is taken from a request, in the order in which it is.
    pub takes: Vec<String>,
    pub answers: String,
}

/// A handler whose types are known. `T` is what axum calls a handler's parameters.
pub trait Described<T> {
    fn signature() -> Signature;
}

macro_rules! described {
    ($($parameter:ident)*) => {
        impl<F, Answering, Answer, M, $($parameter,)*> Described<(M, $($parameter,)*)> for F
        where
            F: FnOnce($($parameter,)*) -> Answering,
            Answering: Future<Output = Answer>,
        {
            fn signature() -> Signature {
                Signature {
                    takes: vec![$(plain(type_name::<$parameter>()),)*],
                    answers: plain(type_name::<Answer>()),
                }
            }
        }
    };
}

impl<F, Answering, Answer> Described<((),)> for F
where
    F: FnOnce() -> Answering,
    Answering: Future<Output = Answer>,
{
    fn signature() -> Signature {
        Signature {
            takes: Vec::new(),
            answers: plain(type_name::<Answer>()),
        }
    }
}

described!(A);
described!(A B);
described!(A B C);
described!(A B C D);
described!(A B C D E);
described!(A B C D E G);
described!(A B C D E G H);

/// A type's name without the modules that it lies in.
pub(super) fn plain(name: &str) -> String {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut plain = String::with_capacity(name.len());
    let mut rest = name;
    while !rest.is_empty() {
        let end = rest.find(|letter| !is_word(letter)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        match after.strip_prefix("::") {
            Some(inner) => rest = inner,
            None => {
                let mark = after.chars().next().map_or(0, char::len_utf8);
                let (mark, after) = after.split_at(mark);
                plain.push_str(word);
                plain.push_str(mark);
                rest = after;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn names_have_no_modules() {
        for (name, expected) in [
            ("()", "()"),
            ("alloc::string::String", "String"),
            ("core::result::Result<a::b::C<d::E>, f::G>", "Result<C<E>, G>"),
            ("(a::B, &str)", "(B, &str)"),
        ] {
            assert_eq!(plain(name), expected);
        }
    }
}
