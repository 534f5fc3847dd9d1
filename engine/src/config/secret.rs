//! Texts that are never printed, and how well one of them keeps others out.

/// The signing secrets that everybody knows: none, the engine's default and the legacy's.
const DEFAULT_SECRETS: [&str; 3] = ["", "change-me", "borealis-dev-secret"];
/// Characters from which on a secret is not found by trying all.
const LEAST_SECRET: usize = 16;

/// How well a secret keeps others out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SecretStrength {
    /// Everybody knows it: a default that stands in public source.
    Published,
    /// Whoever has one cookie can try out all secrets of that many characters.
    Short(usize),
    /// Long enough, and no default.
    Sufficient,
}

/// A text that must never be printed.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` from being printed.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// How well it keeps others out where it signs. Blanks around a published one do not make it better.
    pub(super) fn strength(&self) -> SecretStrength {
        let length = self.0.chars().count();
        if DEFAULT_SECRETS.contains(&self.0.trim()) {
            SecretStrength::Published
        } else if length < LEAST_SECRET {
            SecretStrength::Short(length)
        } else {
            SecretStrength::Sufficient
        }
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(…)")
    }
}
