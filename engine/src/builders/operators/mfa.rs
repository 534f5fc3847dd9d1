//! Pending logins from the session, and the body of `POST /api/auth/mfa/verify`.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

use crate::{
    builders::text::{WrongType, trimmed_text},
    domain::{
        coerce::integer_of,
        json::{Json, JsonObject},
        operator_session::{Issue, Issuing},
    },
};

/// A login that waits for a code. The client holds it, in the signed session cookie.
#[derive(Clone, Eq, PartialEq)]
pub struct PendingLogin {
    /// The name as stored.
    pub username: String,
    /// The role when the password was shown; the row's counts in the end.
    pub role: String,
    /// What the client has to repeat: it shows that code and login belong together.
    pub token: String,
    /// What the code is checked against.
    pub stage: Stage,
    /// Unix seconds after which the code comes too late.
    pub expires: i64,
    /// When and how the client's copy was signed; `None` where it is not signed yet.
    pub issue: Option<Issue>,
    /// What is to be stored when it is signed.
    pub issuing: Issuing,
}

impl std::fmt::Debug for PendingLogin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "PendingLogin({})", self.username)
    }
}

/// What the code of a pending login is checked against.
#[derive(Clone, Eq, PartialEq)]
pub enum Stage {
    /// The secret that the account has.
    Verify,
    /// A new secret, which the account gets once a code of it is shown.
    Setup {
        /// The secret; empty where a cookie lacks it.
        secret: String,
    },
}

/// What a client shows to complete a login.
#[derive(Clone, Eq, PartialEq)]
pub struct CodeAnswer {
    /// The pending login's token.
    pub pending_token: String,
    /// The digits of the code.
    pub code: String,
}

/// The pending login that a session's `mfa_pending` describes; `None` where it is no object or an empty one.
/// Members that are missing or of another type fit no answer: no token, long expired, nobody's.
/// `issue` is the session's.
pub fn pending_login(value: Option<&Json>, issue: Option<&Issue>) -> Option<PendingLogin> {
    let members = value?.as_object().filter(|members| !members.is_empty())?;
    let member = |name| {
        members
            .get(name)
            .and_then(Json::as_text)
            .unwrap_or_default()
            .to_owned()
    };
    // The legacy compares numbers, however large, and breaks on whatever else.
    let expires = match members.get("expires") {
        Some(Json::Float(number)) if *number == f64::INFINITY => i128::MAX,
        Some(number @ (Json::Int(_) | Json::BigInt(_) | Json::Float(_) | Json::Bool(_))) => {
            integer_of(number).unwrap_or(0)
        }
        _ => 0,
    };
    Some(PendingLogin {
        username: member("username"),
        role: member("role"),
        token: member("token"),
        stage: match member("stage").as_str() {
            "setup" => Stage::Setup {
                secret: member("secret"),
            },
            _ => Stage::Verify,
        },
        expires: i64::try_from(expires.max(0)).unwrap_or(i64::MAX),
        issue: issue.cloned(),
        issuing: Issuing::at(issue.map_or(0, |issue| issue.at)),
    })
}

/// Reads the answer to a pending login.
///
/// # Errors
/// [`WrongType`]: the token is no text.
pub fn code_answer(body: &JsonObject) -> Result<CodeAnswer, WrongType> {
    Ok(CodeAnswer {
        pending_token: trimmed_text(body, "pending_token")?.to_owned(),
        code: body.get("code").map(digits_of).unwrap_or_default(),
    })
}

/// The digit characters of a code in whatever form it came: a text with blanks, a number, a list.
fn digits_of(code: &Json) -> String {
    if !code.is_truthy() {
        return String::new();
    }
    code.python_str()
        .chars()
        .filter(|character| is_digit(*character))
        .collect()
}

/// Whether Python's `str.isdigit` holds: Unicode's numeric types Decimal and Digit.
fn is_digit(character: char) -> bool {
    character.is_ascii_digit()
        || !character.is_ascii()
            && (character.general_category() == GeneralCategory::DecimalNumber
                || TYPE_DIGIT
                    .iter()
                    .any(|(first, last)| (*first..=*last).contains(&character)))
}

/// Characters of numeric type Digit: superscripts, subscripts, digits in circles and the like.
const TYPE_DIGIT: [(char, char); 20] = [
    ('\u{b2}', '\u{b3}'),
    ('\u{b9}', '\u{b9}'),
    ('\u{1369}', '\u{1371}'),
    ('\u{19da}', '\u{19da}'),
    ('\u{2070}', '\u{2070}'),
    ('\u{2074}', '\u{2079}'),
    ('\u{2080}', '\u{2089}'),
    ('\u{2460}', '\u{2468}'),
    ('\u{2474}', '\u{247c}'),
    ('\u{2488}', '\u{2490}'),
    ('\u{24ea}', '\u{24ea}'),
    ('\u{24f5}', '\u{24fd}'),
    ('\u{24ff}', '\u{24ff}'),
    ('\u{2776}', '\u{277e}'),
    ('\u{2780}', '\u{2788}'),
    ('\u{278a}', '\u{2792}'),
    ('\u{10a40}', '\u{10a43}'),
    ('\u{10e60}', '\u{10e68}'),
    ('\u{11052}', '\u{1105a}'),
    ('\u{1f100}', '\u{1f10a}'),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_digits_of_a_code_are_kept() {
        for (code, digits) in [
            (Json::from(" 123 456 "), "123456"),
            ("1-2-3-4-5-6".into(), "123456"),
            (123_456.into(), "123456"),
            (123_456.5.into(), "1234565"),
            (true.into(), ""),
            (Json::list(["123456"]), "123456"),
            ("１２²٤½Ⅷ④a".into(), "１２²٤④"),
            (0.into(), ""),
            (Json::Null, ""),
        ] {
            assert_eq!(digits_of(&code), digits, "{code:?}");
        }
    }

    #[test]
    fn pending_logins_of_any_shape_are_read() {
        let pending = Json::object([
            ("username", "a".into()),
            ("token", "t".into()),
            ("stage", "setup".into()),
            ("secret", Json::Null),
            ("expires", 9.into()),
        ]);
        let read = pending_login(Some(&pending), None).unwrap();
        assert_eq!((read.username.as_str(), read.token.as_str()), ("a", "t"));
        assert!(
            read.stage
                == Stage::Setup {
                    secret: String::new()
                }
                && read.expires == 9
        );
        let odd = Json::object([("token", Json::from(7)), ("expires", "x".into())]);
        let read = pending_login(Some(&odd), None).unwrap();
        assert!(read.token.is_empty() && read.expires == 0 && read.stage == Stage::Verify);
        for (expires, read) in [
            ("9999999999".into(), 0),
            (Json::list([9]), 0),
            (Json::Null, 0),
            (true.into(), 1),
            (9.5.into(), 9),
            ((-7).into(), 0),
            (f64::NAN.into(), 0),
            (1e300.into(), i64::MAX),
            (f64::INFINITY.into(), i64::MAX),
            (Json::BigInt("9".repeat(30)), i64::MAX),
            (Json::BigInt(format!("-{}", "9".repeat(30))), 0),
        ] {
            let pending = Json::object([("expires", expires)]);
            assert_eq!(
                pending_login(Some(&pending), None).unwrap().expires,
                read,
                "{pending:?}"
            );
        }
        for none in [
            None,
            Some(Json::object::<&str, 0>([])),
            Some("pending".into()),
            Some(7.into()),
        ] {
            assert_eq!(pending_login(none.as_ref(), None), None);
        }
    }

    proptest! {
        #[test]
        fn what_is_kept_are_digits_in_their_order(text in "\\PC*") {
            let kept = digits_of(&Json::from(text.as_str()));
            let mut rest = text.chars();
            prop_assert!(kept.chars().all(|digit| digit.is_numeric() && rest.any(|one| one == digit)));
        }
    }
}
