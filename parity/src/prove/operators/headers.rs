//! Headers and the cookies that they set.

use super::{Change, Headers, Operator, other_letter};

pub(super) const ALL: &[Operator] = &[
    Operator {
        name: "header-removed",
        sentence: "a header is missing",
        change: Change::Header(|headers, at| {
            headers.remove(at);
            Some(())
        }),
    },
    Operator {
        name: "header-added",
        sentence: "one more header, in front of each",
        change: Change::Header(|headers, at| {
            headers.insert(at, ("X-Added".to_owned(), "1".to_owned()));
            Some(())
        }),
    },
    Operator {
        name: "header-doubled",
        sentence: "a header stands twice",
        change: Change::Header(|headers, at| {
            headers.insert(at, headers.get(at)?.clone());
            Some(())
        }),
    },
    Operator {
        name: "header-case",
        sentence: "a header's name in another letter case",
        change: Change::Header(|headers, at| {
            let name = &mut headers.get_mut(at)?.0;
            *name = if name.chars().any(|one| one.is_ascii_uppercase()) {
                name.to_lowercase()
            } else {
                name.to_uppercase()
            };
            Some(())
        }),
    },
    Operator {
        name: "header-order",
        sentence: "a header stands behind the next one, which has another name",
        change: Change::Header(|headers, at| {
            let (one, other) = (headers.get(at)?, headers.get(at + 1)?);
            if one.0.eq_ignore_ascii_case(&other.0) {
                return None;
            }
            headers.swap(at, at + 1);
            Some(())
        }),
    },
    Operator {
        name: "header-lines-swapped",
        sentence: "two headers of one name change places",
        change: Change::Header(|headers, at| {
            let name = headers.get(at)?.0.clone();
            let next = headers
                .iter()
                .skip(at + 1)
                .position(|(other, _)| other.eq_ignore_ascii_case(&name))?;
            headers.swap(at, at + 1 + next);
            Some(())
        }),
    },
    Operator {
        name: "header-letter",
        sentence: "another letter in a header's value",
        change: Change::Header(|headers, at| {
            let value = &mut headers.get_mut(at)?.1;
            *value = other_letter(value, 0)?;
            Some(())
        }),
    },
    Operator {
        name: "header-value-case",
        sentence: "a header's value in another letter case",
        change: Change::Header(|headers, at| {
            let value = &mut headers.get_mut(at)?.1;
            let lower = value.to_lowercase();
            *value = if lower == *value {
                value.to_uppercase()
            } else {
                lower
            };
            Some(())
        }),
    },
    Operator {
        name: "header-number",
        sentence: "a header's number is one more",
        change: Change::Header(|headers, at| {
            let value = &mut headers.get_mut(at)?.1;
            *value = (value.parse::<u64>().ok()? + 1).to_string();
            Some(())
        }),
    },
    Operator {
        name: "header-number-spelling",
        sentence: "a header's number with a leading zero",
        change: Change::Header(|headers, at| {
            let value = &mut headers.get_mut(at)?.1;
            value.parse::<u64>().ok()?;
            value.insert(0, '0');
            Some(())
        }),
    },
    Operator {
        name: "header-emptied",
        sentence: "a header without a value",
        change: Change::Header(|headers, at| {
            headers.get_mut(at)?.1.clear();
            Some(())
        }),
    },
    Operator {
        name: "content-type",
        sentence: "another content type",
        change: Change::Header(|headers, at| {
            let (_, value) = headers
                .get_mut(at)
                .filter(|(name, _)| name.eq_ignore_ascii_case("content-type"))?;
            *value = if value.starts_with("text/plain") {
                "application/json"
            } else {
                "text/plain; charset=utf-8"
            }
            .to_owned();
            Some(())
        }),
    },
    Operator {
        name: "charset",
        sentence: "a content type with a charset less or more",
        change: Change::Header(|headers, at| {
            let (_, value) = headers
                .get_mut(at)
                .filter(|(name, _)| name.eq_ignore_ascii_case("content-type"))?;
            *value = match value.split_once(';') {
                Some((kind, _)) => kind.to_owned(),
                None => format!("{value}; charset=utf-8"),
            };
            Some(())
        }),
    },
    Operator {
        name: "cookie-attribute-removed",
        sentence: "a cookie lacks its last attribute",
        change: Change::Header(|headers, at| {
            let cookie = cookie(headers, at)?;
            *cookie = cookie.rsplit_once(';')?.0.to_owned();
            Some(())
        }),
    },
    Operator {
        name: "cookie-attribute-added",
        sentence: "a cookie with one more attribute",
        change: Change::Header(|headers, at| {
            let cookie = cookie(headers, at)?;
            cookie.push_str("; Secure");
            Some(())
        }),
    },
    Operator {
        name: "cookie-attribute-changed",
        sentence: "another letter in a cookie's last attribute",
        change: Change::Header(|headers, at| {
            let cookie = cookie(headers, at)?;
            *cookie = other_letter(cookie, cookie.rfind(';')?)?;
            Some(())
        }),
    },
    Operator {
        name: "cookie-attributes-swapped",
        sentence: "the last two attributes of a cookie change places",
        change: Change::Header(|headers, at| {
            let cookie = cookie(headers, at)?;
            let (rest, last) = cookie.rsplit_once(';')?;
            let (rest, other) = rest.rsplit_once(';')?;
            *cookie = format!("{rest};{last};{other}");
            Some(())
        }),
    },
    Operator {
        name: "cookie-name",
        sentence: "a cookie of another name",
        change: Change::Header(|headers, at| {
            let cookie = cookie(headers, at)?;
            *cookie = other_letter(cookie, 0)?;
            Some(())
        }),
    },
    Operator {
        name: "cookie-emptied",
        sentence: "a cookie without a value",
        change: Change::Header(|headers, at| {
            let cookie = cookie(headers, at)?;
            let (name, rest) = cookie.split_once('=')?;
            let attributes = rest.find(';').and_then(|at| rest.get(at..)).unwrap_or_default();
            *cookie = format!("{name}={attributes}");
            Some(())
        }),
    },
];

fn cookie(headers: &mut Headers, at: usize) -> Option<&mut String> {
    headers
        .get_mut(at)
        .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))
        .map(|(_, value)| value)
}
