//! The body of `POST /api/admin/enrollment-codes`, and the filter of its list.

use crate::domain::{coerce::integer_of, install_codes::InstallCodeFilter, json::JsonObject};

/// What a new code shall be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NewInstallCode {
    /// How long it may be used; one of [`LIFETIMES_HOURS`].
    pub ttl_hours: i64,
    /// How often, 1 to 10.
    pub max_uses: i64,
}

/// The lifetimes that may be asked for, in hours.
pub const LIFETIMES_HOURS: [i64; 5] = [1, 3, 6, 12, 24];

/// Uses of a code whose limit cannot be read.
const DEFAULT_USES: i128 = 2;

/// The lifetime is none of those that may be asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("invalid_ttl")]
pub struct InvalidTtl;

/// Reads the request for a code.
///
/// # Errors
/// The lifetime is none of the allowed ones, or no number (the legacy breaks on the latter: ENR-1).
pub fn new_install_code(body: &JsonObject) -> Result<NewInstallCode, InvalidTtl> {
    let ttl = match body.get("ttl_hours").filter(|value| value.is_truthy()) {
        None => 1,
        Some(value) => integer_of(value).ok_or(InvalidTtl)?,
    };
    let ttl_hours = LIFETIMES_HOURS
        .into_iter()
        .find(|hours| i128::from(*hours) == ttl)
        .ok_or(InvalidTtl)?;
    let given = body
        .get("max_uses")
        .filter(|value| !value.is_null())
        .or_else(|| body.get("allowed_uses"));
    let max_uses = given.and_then(integer_of).unwrap_or(DEFAULT_USES).clamp(1, 10);
    Ok(NewInstallCode {
        ttl_hours,
        max_uses: i64::try_from(max_uses).unwrap_or(1),
    })
}

/// Reads the `status` of a listing: exactly one of the words, anything else means all.
pub fn install_code_filter(status: Option<&str>) -> InstallCodeFilter {
    match status {
        Some("active") => InstallCodeFilter::Active,
        Some("expired") => InstallCodeFilter::Expired,
        Some("used") => InstallCodeFilter::Used,
        _ => InstallCodeFilter::All,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::json::Json;

    fn read(fields: &[(&str, Json)]) -> Result<(i64, i64), InvalidTtl> {
        let mut body = JsonObject::new();
        for (name, value) in fields {
            body.insert((*name).to_owned(), value.clone());
        }
        new_install_code(&body).map(|code| (code.ttl_hours, code.max_uses))
    }

    #[test]
    fn lifetimes_and_limits_are_coerced_as_the_legacy_does() {
        assert_eq!(read(&[]), Ok((1, 2)));
        assert_eq!(
            read(&[("ttl_hours", " 24 ".into()), ("max_uses", 99.into())]),
            Ok((24, 10))
        );
        assert_eq!(
            read(&[("ttl_hours", true.into()), ("max_uses", false.into())]),
            Ok((1, 1))
        );
        assert_eq!(
            read(&[("ttl_hours", 3.9.into()), ("max_uses", 2.9.into())]),
            Ok((3, 2))
        );
        assert_eq!(
            read(&[("max_uses", Json::Null), ("allowed_uses", "5".into())]),
            Ok((1, 5))
        );
        assert_eq!(
            read(&[("max_uses", "many".into()), ("allowed_uses", 5.into())]),
            Ok((1, 2))
        );
        for refused in [
            Json::from(2),
            0.5.into(),
            "48".into(),
            (-3).into(),
            "abc".into(),
            "3.0".into(),
            Json::list([1]),
        ] {
            assert_eq!(
                read(&[("ttl_hours", refused.clone())]),
                Err(InvalidTtl),
                "{refused:?}"
            );
        }
    }
}
