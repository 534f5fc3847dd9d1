//! Who logs in at a server that is not parity's own.

use std::{collections::BTreeMap, fs, io::Read as _, os::unix::fs::MetadataExt as _, path::Path};

/// Larger files hold something else.
const LARGEST: u64 = 4096;

/// Name and password of an operator.
#[derive(Clone, PartialEq, Eq)]
pub struct Operator {
    /// The name.
    pub name: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Operator {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Operator({})", self.name)
    }
}

impl Default for Operator {
    /// The operator whom a server makes over an empty root.
    fn default() -> Self {
        Self {
            name: "admin".to_owned(),
            password: "Password".to_owned(),
        }
    }
}

impl Operator {
    /// From two variables.
    ///
    /// # Errors
    /// The name of one that is not set, as a sentence.
    pub fn of_variables(
        variables: &BTreeMap<String, String>,
        name: &str,
        password: &str,
    ) -> Result<Self, String> {
        let get = |variable: &str| {
            let value = variables.get(variable).filter(|value| !value.is_empty());
            value
                .cloned()
                .ok_or_else(|| format!("the variable {variable} is not set"))
        };
        Ok(Self {
            name: get(name)?,
            password: get(password)?,
        })
    }

    /// From a file that nobody else may read: its first line is the name, its second the password.
    ///
    /// # Errors
    /// What is wrong with the file, as a sentence.
    pub fn of_file(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let file = fs::File::open(path).map_err(|error| format!("{shown}: {error}"))?;
        let about = file.metadata().map_err(|error| format!("{shown}: {error}"))?;
        if !about.is_file() || about.mode() & 0o077 != 0 {
            return Err(format!(
                "{shown}: it holds a password, and others than its owner may read or write it: `chmod 600 {shown}`"
            ));
        }
        let mut text = String::new();
        file.take(LARGEST)
            .read_to_string(&mut text)
            .map_err(|error| format!("{shown}: {error}"))?;
        let mut lines = text.lines();
        match (lines.next().map(str::trim), lines.next()) {
            (Some(name), Some(password)) if !name.is_empty() && !password.is_empty() => Ok(Self {
                name: name.to_owned(),
                password: password.to_owned(),
            }),
            _ => Err(format!(
                "{shown}: its first line is an operator's name, its second the password"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_password_comes_from_a_file_of_its_owner_alone_or_from_variables() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("operator");
        let with = |text: &str, mode: u32| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            Operator::of_file(&path)
        };
        let olga = Operator {
            name: "olga".to_owned(),
            password: "pass word".to_owned(),
        };
        assert_eq!(with("olga\npass word\n", 0o600), Ok(olga.clone()));
        assert!(
            with("olga\npass word\n", 0o640)
                .unwrap_err()
                .contains("chmod 600")
        );
        for text in ["", "olga", "olga\n\n"] {
            assert!(
                with(text, 0o600).unwrap_err().contains("second the password"),
                "{text:?}"
            );
        }
        assert!(!format!("{olga:?}").contains("pass word"));
        let variables = BTreeMap::from(
            [("U", "olga"), ("P", "pass word"), ("E", "")].map(|(a, b)| (a.to_owned(), b.to_owned())),
        );
        assert_eq!(Operator::of_variables(&variables, "U", "P"), Ok(olga));
        for missing in ["X", "E"] {
            let error = Operator::of_variables(&variables, "U", missing).unwrap_err();
            assert_eq!(error, format!("the variable {missing} is not set"));
        }
    }
}
