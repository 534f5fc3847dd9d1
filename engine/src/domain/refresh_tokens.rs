//! Refresh tokens, stored as digests.

/// A refresh token, which its device gets once and the store only as a digest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewRefreshToken<'a> {
    /// Row id: a UUID in lower case.
    pub id: &'a str,
    /// The device, canonical.
    pub guid: &'a str,
    /// SHA-256 of the token's text, hex.
    pub token_hash: &'a str,
    /// When it was made, stored form.
    pub created_at: &'a str,
    /// When it ends, stored form.
    pub expires_at: &'a str,
}

/// A refresh token as it is stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RefreshToken {
    pub id: String,
    /// When it ends; blank where it never does.
    pub expires_at: Option<String>,
    /// When it was ended before its time.
    pub revoked_at: Option<String>,
}

/// A refresh token that was traded for an access token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UsedRefreshToken {
    pub id: String,
    /// When, stored form.
    pub used_at: String,
    /// The thumbprint of the key that the use was proven with; without one the stored thumbprint stays.
    pub dpop_jkt: Option<String>,
}
