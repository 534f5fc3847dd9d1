//! A small cookie jar: names and values for the whole server, deletion by `Max-Age` or `Expires`.

use jiff::Timestamp;

/// The cookies of one client, in the order they were first set.
#[derive(Clone, Debug, Default)]
pub struct Jar(Vec<(String, String)>);

impl Jar {
    /// Takes one `Set-Cookie` header in at the time `now`.
    pub fn take(&mut self, header: &str, now: Timestamp) {
        let mut parts = header.split(';');
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
            return;
        };
        let (name, value) = (name.trim(), value.trim());
        let mut gone = false;
        let mut max_age_seen = false;
        for attribute in parts {
            let (key, argument) = attribute.split_once('=').unwrap_or((attribute, ""));
            match key.trim().to_ascii_lowercase().as_str() {
                "max-age" => {
                    if let Ok(seconds) = argument.trim().parse::<i64>() {
                        max_age_seen = true;
                        gone = seconds <= 0;
                    }
                }
                // `Max-Age` has precedence wherever it stands.
                "expires" if !max_age_seen => {
                    gone = jiff::fmt::rfc2822::parse(argument.trim()).is_ok_and(|end| end.timestamp() <= now);
                }
                _ => {}
            }
        }
        if gone {
            self.0.retain(|(known, _)| known != name);
        } else if let Some(known) = self.0.iter_mut().find(|(known, _)| known == name) {
            value.clone_into(&mut known.1);
        } else {
            self.0.push((name.to_owned(), value.to_owned()));
        }
    }

    /// The `Cookie` header, if there is a cookie.
    pub fn header(&self) -> Option<String> {
        let pairs: Vec<_> = self
            .0
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_kept_replaced_and_deleted() {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let mut jar = Jar::default();
        jar.take("a=1; Path=/; HttpOnly", now);
        jar.take("b=2; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", now);
        jar.take("a=3=; Path=/", now);
        assert_eq!(jar.header().as_deref(), Some("a=3=; b=2"));
        jar.take("a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/", now);
        jar.take("b=; Max-Age=0", now);
        assert_eq!(jar.header(), None);
    }
}
