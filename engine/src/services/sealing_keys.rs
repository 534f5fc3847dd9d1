//! Which key seals secrets, and what becomes of those that were sealed with others.

use crate::{
    domain::fernet::{FernetKey, StoredSecret},
    integrations::identity::sealing_key::FoundKey,
};

/// Names that are listed of secrets that no key opens; more are counted.
const NAMED: usize = 20;
/// What to do about secrets that no key opens.
const CURE: &str = "copy the server_secret.key of the server that sealed them to Data/Server under the root folder, or \
                    set BOREALIS_SECRET_KEY to that key";

/// What the keys that were found do with the secrets that are stored.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SealingKeys {
    /// Seals; opens most of what is stored. `None` where a new one has to be made.
    pub main: Option<FoundKey>,
    /// The other keys that were found. What they sealed is opened with them.
    pub others: Vec<FoundKey>,
    /// How many stored secrets are sealed.
    stored: usize,
    /// How many of them one of [`SealingKeys::others`] opens, and the main key does not.
    opened_by_others: usize,
    /// What the secrets belong to that no key opens.
    unopened: Vec<String>,
}

/// Secrets are stored, and no key opens any of them: with whatever key the server went on, passwords would be lost.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{found}, but the database holds {count} sealed, none of which can be opened: {cure}. `serve --new-sealing-key` goes \
     on without them: agents' service accounts get new passwords, and credentials have to be entered anew",
    cure = CURE
)]
pub struct NoKeyOpens {
    found: String,
    count: String,
}

impl SealingKeys {
    /// Chooses among the keys that were found: of several the one that opens most, of equals the first.
    pub fn choose(found: Vec<FoundKey>, stored: &[StoredSecret]) -> Self {
        let opens = |key: &FernetKey, secret: &StoredSecret| key.open(&secret.token).is_some();
        let count = |one: &FoundKey| stored.iter().filter(|secret| opens(&one.key, secret)).count();
        // `max_by_key` takes the last of equals.
        let best = found
            .iter()
            .enumerate()
            .rev()
            .max_by_key(|(_, one)| count(one))
            .map(|(place, _)| place);
        let mut others = found;
        let main = best.map(|place| others.remove(place));
        let mut keys = Self {
            stored: stored.len(),
            ..Self::default()
        };
        for secret in stored {
            if main.as_ref().is_some_and(|main| opens(&main.key, secret)) {
                continue;
            }
            if others.iter().any(|other| opens(&other.key, secret)) {
                keys.opened_by_others += 1;
            } else {
                keys.unopened.push(secret.owner.clone());
            }
        }
        Self { main, others, ..keys }
    }

    /// Whether going on would lose what is stored.
    ///
    /// # Errors
    /// No key opens any of the stored secrets.
    pub fn refuse_loss(&self) -> Result<(), NoKeyOpens> {
        if self.stored == 0 || self.unopened.len() < self.stored {
            return Ok(());
        }
        let found = match &self.main {
            None => "there is no key that seals secrets".to_owned(),
            Some(main) if self.others.is_empty() => format!("the key that seals secrets is {}", main.source),
            Some(_) => format!("the keys that seal secrets are {}", self.sources()),
        };
        Err(NoKeyOpens {
            found,
            count: secrets(self.stored),
        })
    }

    /// What is lost unless somebody does something; `None` where every secret can be opened.
    pub fn loss(&self) -> Option<String> {
        if self.unopened.is_empty() {
            return None;
        }
        let named: Vec<&str> = self.unopened.iter().take(NAMED).map(String::as_str).collect();
        let more = match self.unopened.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Some(format!(
            "{} of {} that are stored cannot be opened with any key ({}): {}{more}. The rest works. {}",
            self.unopened.len(),
            secrets(self.stored),
            self.sources(),
            named.join(", "),
            capitalised(CURE)
        ))
    }

    /// Which of several different keys is used, and why; `None` where there is no choice.
    pub fn preference(&self) -> Option<String> {
        let main = self.main.as_ref().filter(|_| !self.others.is_empty())?;
        let opened = self.stored - self.opened_by_others - self.unopened.len();
        let also = match self.opened_by_others {
            0 => String::new(),
            count => format!(
                ", and what another key sealed ({}) is opened with that one",
                secrets(count)
            ),
        };
        Some(format!(
            "there are different keys that seal secrets ({}): {} is used, which opens {opened} of {} that are \
             stored{also}",
            self.sources(),
            main.source,
            secrets(self.stored)
        ))
    }

    fn sources(&self) -> String {
        let sources: Vec<String> = self
            .main
            .iter()
            .chain(&self.others)
            .map(|one| one.source.to_string())
            .collect();
        if sources.is_empty() {
            "none was found".to_owned()
        } else {
            sources.join(", ")
        }
    }
}

fn secrets(count: usize) -> String {
    match count {
        1 => "1 secret".to_owned(),
        count => format!("{count} secrets"),
    }
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(characters).collect()
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::{integrations::identity::sealing_key::KeySource, testkit::START};

    fn key(number: u8) -> FoundKey {
        FoundKey {
            source: KeySource::File(PathBuf::from(format!("/{number}.key"))),
            key: FernetKey::from_bytes([number; 32]),
        }
    }

    fn sealed_by(number: u8, owner: &str) -> StoredSecret {
        StoredSecret {
            owner: owner.to_owned(),
            token: key(number)
                .key
                .seal(b"secret", START.unsigned_abs(), [3; 16])
                .into_bytes(),
        }
    }

    #[test]
    fn the_key_that_opens_most_is_used_and_of_equals_the_first() {
        let stored = [sealed_by(1, "a"), sealed_by(2, "b"), sealed_by(2, "c")];
        let keys = SealingKeys::choose(vec![key(1), key(2)], &stored);
        assert_eq!(
            (keys.main.clone(), keys.others.clone()),
            (Some(key(2)), vec![key(1)])
        );
        assert_eq!((keys.refuse_loss(), keys.loss()), (Ok(()), None));
        assert_eq!(
            keys.preference().unwrap(),
            "there are different keys that seal secrets (/2.key, /1.key): /2.key is used, which opens 2 of 3 secrets \
             that are stored, and what another key sealed (1 secret) is opened with that one"
        );
        assert_eq!(
            SealingKeys::choose(vec![key(1), key(2)], &stored[..2]).main,
            Some(key(1))
        );
        assert_eq!(SealingKeys::choose(vec![key(2), key(1)], &[]).main, Some(key(2)));
        assert_eq!(SealingKeys::choose(vec![key(1)], &[]).preference(), None);
    }

    #[test]
    fn what_no_key_opens_is_named_and_refused_where_it_is_everything() {
        let stored = [sealed_by(1, "the credential a"), sealed_by(3, "the credential b")];
        let some = SealingKeys::choose(vec![key(1), key(2)], &stored);
        assert_eq!(some.refuse_loss(), Ok(()));
        let loss = some.loss().unwrap();
        assert!(
            loss.starts_with("1 of 2 secrets") && loss.contains(": the credential b."),
            "{loss}"
        );
        for found in [vec![], vec![key(2)], vec![key(2), key(4)]] {
            let none = SealingKeys::choose(found, &stored).refuse_loss().unwrap_err();
            let text = none.to_string();
            for word in [
                "2 secrets",
                "server_secret.key",
                "BOREALIS_SECRET_KEY",
                "--new-sealing-key",
            ] {
                assert!(text.contains(word), "{word} in {text}");
            }
        }
        assert_eq!(SealingKeys::choose(vec![], &[]).refuse_loss(), Ok(()));
    }

    #[test]
    fn a_long_list_of_names_ends() {
        let stored: Vec<_> = (0..25)
            .map(|number| sealed_by(3, &format!("<{number}>")))
            .collect();
        let loss = SealingKeys::choose(vec![key(1)], &stored).loss().unwrap();
        assert!(
            loss.contains("<19> and 5 more") && !loss.contains("<20>"),
            "{loss}"
        );
    }
}
