//! Device approvals: what agents ask for and operators decide.

/// A row of `device_approvals`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Approval {
    /// Row id: a UUID in lower case.
    pub id: String,
    /// What the agent names it by: another UUID.
    pub approval_reference: String,
    /// The device's GUID, once it is known.
    pub guid: Option<String>,
    /// The host name that the agent claims.
    pub hostname_claimed: String,
    /// SHA-256 of the key that the agent claims, hex.
    pub fingerprint_claimed: String,
    /// The install code's row.
    pub enrollment_code_id: String,
    /// `pending`, `approved`, `denied`, `completed`, `expired`, or what somebody wrote.
    pub status: String,
    /// The agent's nonce, base64 as sent.
    pub client_nonce: String,
    /// The server's nonce, base64.
    pub server_nonce: String,
    /// The key, SPKI DER.
    pub agent_pubkey_der: Vec<u8>,
    /// When it was asked for first.
    pub created_at: String,
    /// When it changed last.
    pub updated_at: String,
    /// Who decided.
    pub approved_by_user_id: Option<String>,
}

/// A device that already has the claimed host name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostnameHolder {
    /// Its GUID, as stored.
    pub guid: Option<String>,
    /// Its key's fingerprint, as stored.
    pub fingerprint: Option<String>,
    /// The site that it is assigned to.
    pub site_id: Option<i64>,
    pub site_name: Option<String>,
}

/// An approval as operators see it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListedApproval {
    pub approval: Approval,
    /// The name of who decided.
    pub approved_by_username: Option<String>,
}
