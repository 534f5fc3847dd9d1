//! Devices join: they ask with an install code, prove their key, and get their tokens once an operator approved.
//!
//! Long because a request and its polls share limits, locks and one state of a device.

mod messages;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::SignedDuration;

pub use self::messages::{JoinedDevice, PendingEnrollment, PollError, PollOutcome, RequestError};
use super::{
    Environment, Moment,
    approvals::{hostname_for_new_device, may_be_claimed, same_fingerprint},
    hosts::HostRules,
    published_identity::IdentityPublisher,
};
use crate::{
    builders::enrollment::{EnrollmentPoll, EnrollmentRequest},
    domain::{
        approvals::Approval,
        base64 as strict_base64,
        devices::{KeyRotation, NewDevice},
        digest::sha256_hex,
        guid::Guid,
        install_codes::{CodeUse, InstallCode},
        mask::{masked, shown},
        proof::verify_proof,
        random::{random_bytes, random_uuid},
        rate_limit::{RateLimited, SlidingWindow},
        refresh_tokens::NewRefreshToken,
        replay::ReplayMemory,
        timestamp::{iso_utc, parse_iso},
    },
    repositories::{Store, StoreError, UnitOfWork},
    services::{audit, device_access::tokens::AccessTokens},
};

/// The window of both rate limits.
const WINDOW: Duration = Duration::from_secs(60);
/// Requests from one address within the window.
const ADDRESS_LIMIT: usize = 40;
/// Well-formed requests of one key within the window.
const FINGERPRINT_LIMIT: usize = 12;
/// How long a used proof is remembered.
const REPLAY_MEMORY: Duration = Duration::from_secs(300);
/// How many are remembered. Operators approve each device by hand, so never so many are used at once.
const REPLAY_CAPACITY: usize = 1 << 16;
/// The version that a device's tokens begin with.
const FIRST_VERSION: i64 = 1;
/// How long a refresh token lives.
const REFRESH_LIFETIME: SignedDuration = SignedDuration::from_hours(30 * 24);

#[derive(Debug)]
pub struct EnrollmentService {
    store: Arc<dyn Store>,
    environment: Environment,
    tokens: AccessTokens,
    publisher: IdentityPublisher,
    hosts: HostRules,
    addresses: Mutex<SlidingWindow>,
    fingerprints: Mutex<SlidingWindow>,
    used_proofs: Mutex<ReplayMemory>,
    /// Requests with one code that may wait for a decision.
    most_pending: Option<usize>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl EnrollmentService {
    /// Over this store; signs with `tokens`, sends agents the certificate and key of `publisher`. Of one install code
    /// at most `most_pending` requests may wait.
    pub fn new(
        store: Arc<dyn Store>,
        environment: Environment,
        tokens: AccessTokens,
        publisher: IdentityPublisher,
        hosts: HostRules,
        most_pending: Option<usize>,
    ) -> Self {
        Self {
            store,
            environment,
            tokens,
            publisher,
            hosts,
            addresses: Mutex::new(SlidingWindow::new(ADDRESS_LIMIT, WINDOW)),
            fingerprints: Mutex::new(SlidingWindow::new(FINGERPRINT_LIMIT, WINDOW)),
            used_proofs: Mutex::new(ReplayMemory::new(REPLAY_MEMORY, REPLAY_CAPACITY)),
            most_pending,
        }
    }

    /// Counts a request from this address: every one, well-formed or not.
    ///
    /// # Errors
    /// Too many came from there.
    pub fn admit_address(&self, address: &str) -> Result<(), RateLimited> {
        self.admit(&self.addresses, &format!("ip:{address}"), ADDRESS_LIMIT)
    }

    fn admit(&self, calls: &Mutex<SlidingWindow>, key: &str, limit: usize) -> Result<(), RateLimited> {
        let admitted = lock(calls).admit(key, self.environment.clock.monotonic());
        admitted.inspect_err(|limited| {
            tracing::warn!(
                key = %shown(key),
                limit = %format_args!("{limit}/{}s", WINDOW.as_secs()),
                retry_after = %format_args!("{:.2}", limited.retry_after.as_secs_f64()),
                "enrollment rate limited"
            );
        })
    }

    /// Stores a request to enroll, or refreshes the one that this key has pending. It came from `address`, which is
    /// logged and not stored.
    ///
    /// # Errors
    /// [`RequestError`]; nothing is written then.
    pub async fn request(
        &self,
        request: EnrollmentRequest,
        address: &str,
    ) -> Result<PendingEnrollment, RequestError> {
        let fingerprint = sha256_hex(&request.agent_pubkey_der);
        self.admit(
            &self.fingerprints,
            &format!("fp:{fingerprint}"),
            FINGERPRINT_LIMIT,
        )
        .map_err(RequestError::RateLimited)?;
        let mut work = self.store.begin_brief().await?;
        let now = self.environment.now();
        may_be_claimed(self.hosts, &mut *work, &request.hostname)
            .await?
            .inspect_err(|_| {
                tracing::info!(
                    host = %shown(&request.hostname),
                    fingerprint = %short(&fingerprint),
                    ip = %address,
                    "enrollment request invalid_hostname"
                );
            })?;
        let usable = self
            .usable_code(&mut *work, &request.code, &fingerprint, &now)
            .await;
        if let Err(RequestError::InvalidCode) = usable {
            tracing::info!(
                host = %shown(&request.hostname),
                fingerprint = %short(&fingerprint),
                code_mask = %masked(&request.code),
                "enrollment request invalid_code"
            );
        }
        let (code, guid) = usable?;
        if let Some(most) = self.most_pending
            && work.count_pending_approvals(&code.id, &fingerprint).await? >= most
        {
            tracing::warn!(
                ip = %address,
                code_mask = %masked(&request.code),
                most,
                "enrollment request refused: too many requests with this code wait for a decision"
            );
            return Err(RequestError::TooManyPending);
        }
        let server_nonce = strict_base64::encode(&random_bytes::<32>(&*self.environment.random));
        let approval = match work.find_pending_approval(&fingerprint).await? {
            Some(pending) => Approval {
                guid: guid.map(|guid| guid.to_string()),
                hostname_claimed: request.hostname,
                enrollment_code_id: code.id,
                client_nonce: request.client_nonce,
                server_nonce,
                agent_pubkey_der: request.agent_pubkey_der,
                updated_at: now.iso,
                ..pending
            },
            None => Approval {
                id: self.environment.new_id(),
                approval_reference: self.environment.new_id(),
                guid: guid.map(|guid| guid.to_string()),
                hostname_claimed: request.hostname,
                fingerprint_claimed: fingerprint,
                enrollment_code_id: code.id,
                status: "pending".to_owned(),
                client_nonce: request.client_nonce,
                server_nonce,
                agent_pubkey_der: request.agent_pubkey_der,
                created_at: now.iso.clone(),
                updated_at: now.iso,
                approved_by_user_id: None,
            },
        };
        work.put_approval(&approval).await?;
        work.save().await?;
        audit::changed("enrollment.requested", &approval.id);
        tracing::info!(
            fingerprint = %short(&approval.fingerprint_claimed),
            host = %shown(&approval.hostname_claimed),
            ip = %address,
            "enrollment request queued"
        );
        Ok(PendingEnrollment {
            approval_reference: approval.approval_reference,
            server_nonce: approval.server_nonce,
            identity: self.publisher.published().await,
        })
    }

    /// The code, and the device that comes back with it: a spent code still admits the device that spent it, with
    /// the same key.
    async fn usable_code(
        &self,
        work: &mut dyn UnitOfWork,
        code: &str,
        fingerprint: &str,
        now: &Moment,
    ) -> Result<(InstallCode, Option<Guid>), RequestError> {
        let code = work.find_code(code).await?.ok_or(RequestError::InvalidCode)?;
        if parse_iso(&code.expires_at).is_none_or(|expiry| expiry <= now.time) {
            return Err(RequestError::InvalidCode);
        }
        if code.has_use_left() {
            return Ok((code, None));
        }
        let guid = code
            .used_by_guid
            .as_deref()
            .and_then(Guid::normalize)
            .ok_or(RequestError::InvalidCode)?;
        let device = work
            .find_device(guid.as_str())
            .await?
            .ok_or(RequestError::InvalidCode)?;
        if device
            .fingerprint
            .is_some_and(|stored| same_fingerprint(&stored, fingerprint))
        {
            Ok((code, Some(guid)))
        } else {
            Err(RequestError::InvalidCode)
        }
    }

    /// Answers a poll with the state of the request; the first poll after the approval lets it join.
    ///
    /// # Errors
    /// [`PollError`]; nothing is written then.
    pub async fn poll(&self, poll: &EnrollmentPoll) -> Result<PollOutcome, PollError> {
        let outcome = self.answer(poll).await;
        if let Err(error) = &outcome {
            error.log(&poll.approval_reference);
        }
        outcome
    }

    async fn answer(&self, poll: &EnrollmentPoll) -> Result<PollOutcome, PollError> {
        // Agents poll every few seconds: only the one that is approved needs a turn to write.
        let approval = self
            .store
            .view()
            .await?
            .find_approval_by_reference(&poll.approval_reference)
            .await?;
        match poll_state(approval, poll)? {
            PollState::Outcome(outcome) => Ok(outcome),
            PollState::Approved(_) => {
                let mut work = self.store.begin().await?;
                // Another poll may have been faster while this one waited for its turn.
                let approval = work.find_approval_by_reference(&poll.approval_reference).await?;
                match poll_state(approval, poll)? {
                    PollState::Outcome(outcome) => Ok(outcome),
                    PollState::Approved(approval) => self.finalise(work, *approval, poll).await,
                }
            }
        }
    }

    async fn finalise(
        &self,
        work: Box<dyn UnitOfWork>,
        approval: Approval,
        poll: &EnrollmentPoll,
    ) -> Result<PollOutcome, PollError> {
        let proof = format!(
            "{}:{}",
            approval.approval_reference,
            strict_base64::encode(&poll.proof)
        );
        lock(&self.used_proofs)
            .take(&proof, self.environment.clock.monotonic())
            .map_err(|_| PollError::Replayed)?;
        match self.join(work, approval).await {
            Ok(joined) => Ok(PollOutcome::Approved(Box::new(joined))),
            Err(error) => {
                // The agent may try again with the same proof once the trouble is over (ENR-23).
                lock(&self.used_proofs).give_back(&proof);
                Err(error)
            }
        }
    }

    async fn join(
        &self,
        mut work: Box<dyn UnitOfWork>,
        mut approval: Approval,
    ) -> Result<JoinedDevice, PollError> {
        let now = self.environment.now();
        let guid = approval
            .guid
            .as_deref()
            .and_then(Guid::normalize)
            .unwrap_or_else(|| Guid::from_uuid(random_uuid(&*self.environment.random)));
        let fingerprint = approval.fingerprint_claimed.clone();
        let token_version = self.bind_device(&mut *work, &guid, &approval, &now).await?;
        work.record_device_key(&self.environment.new_id(), guid.as_str(), &fingerprint, &now.iso)
            .await?;
        use_code(&mut *work, &approval.enrollment_code_id, &guid, &now).await?;
        approval.guid = Some(guid.to_string());
        approval.status = "completed".to_owned();
        approval.updated_at = now.iso.clone();
        work.put_approval(&approval).await?;
        let refresh_token = URL_SAFE_NO_PAD.encode(random_bytes::<48>(&*self.environment.random));
        let second = jiff::Timestamp::from_second(now.time.as_second()).unwrap_or(now.time);
        let expires_at = second
            .saturating_add(REFRESH_LIFETIME)
            .unwrap_or(jiff::Timestamp::MAX);
        work.insert_refresh_token(&NewRefreshToken {
            id: &self.environment.new_id(),
            guid: guid.as_str(),
            token_hash: &sha256_hex(refresh_token.as_bytes()),
            created_at: &now.iso,
            expires_at: &iso_utc(expires_at),
        })
        .await?;
        let access_token =
            self.tokens
                .issue(guid.as_str(), &fingerprint, token_version, now.time.as_second())?;
        work.save().await?;
        audit::changed("device.enrolled", &guid);
        tracing::info!(
            %guid,
            fingerprint = %short(&fingerprint),
            host = %shown(&approval.hostname_claimed),
            "enrollment finalized"
        );
        Ok(JoinedDevice {
            guid,
            access_token,
            refresh_token,
            identity: self.publisher.published().await,
        })
    }

    /// Makes the device, gives one that has none its key, or rotates the key of one that had another. The answer is the
    /// version of its tokens.
    async fn bind_device(
        &self,
        work: &mut dyn UnitOfWork,
        guid: &Guid,
        approval: &Approval,
        now: &Moment,
    ) -> Result<i64, StoreError> {
        let fingerprint = approval.fingerprint_claimed.as_str();
        let Some(device) = work.find_device(guid.as_str()).await? else {
            let hostname =
                hostname_for_new_device(self.hosts, work, &approval.hostname_claimed, guid).await?;
            work.insert_device(&NewDevice {
                guid: guid.as_str(),
                hostname: &hostname,
                fingerprint,
                token_version: FIRST_VERSION,
                now: now.time.as_second(),
                now_iso: &now.iso,
            })
            .await?;
            return Ok(FIRST_VERSION);
        };
        let version = device
            .token_version
            .filter(|version| *version != 0)
            .unwrap_or(FIRST_VERSION);
        let stored = device.fingerprint.as_deref().unwrap_or_default().trim();
        if stored.is_empty() {
            work.set_device_key(&device.guid, fingerprint, &now.iso).await?;
            return Ok(version);
        }
        if same_fingerprint(stored, fingerprint) {
            return Ok(version);
        }
        let token_version = version.saturating_add(1).max(FIRST_VERSION);
        let rotation = KeyRotation {
            guid: guid.as_str(),
            fingerprint,
            token_version,
            now_iso: &now.iso,
        };
        work.rotate_device_key(&device.guid, &rotation).await?;
        work.revoke_refresh_tokens(guid.as_str(), &now.iso).await?;
        Ok(token_version)
    }
}

/// Counts the use of the code that the device came with. Neither its end nor its limit is checked again, because an
/// operator approved the device by hand (ENR-6).
async fn use_code(work: &mut dyn UnitOfWork, id: &str, guid: &Guid, now: &Moment) -> Result<(), StoreError> {
    let code = work.find_code_by_id(id).await?;
    let prior = code.as_ref().map_or(0, InstallCode::uses);
    let allowed = code.as_ref().map_or(1, InstallCode::allowed_uses);
    let use_count = prior.saturating_add(1);
    if use_count > allowed {
        tracing::warn!(
            id,
            use_count,
            allowed,
            "an install code admits more devices than it has uses"
        );
    }
    work.record_code_use(&CodeUse {
        id,
        guid: guid.as_str(),
        use_count,
        consumed: use_count >= allowed,
        at: &now.iso,
    })
    .await
}

/// As much of a fingerprint as the log shows.
fn short(fingerprint: &str) -> &str {
    fingerprint.get(..12).unwrap_or(fingerprint)
}

enum PollState {
    Outcome(PollOutcome),
    Approved(Box<Approval>),
}

/// The state of a request, which is for those alone whose nonce and proof fit.
fn poll_state(approval: Option<Approval>, poll: &EnrollmentPoll) -> Result<PollState, PollError> {
    let approval = approval.ok_or(PollError::UnknownReference)?;
    if approval.client_nonce != poll.client_nonce {
        return Err(PollError::NonceMismatch);
    }
    let mut message =
        strict_base64::decode_strict(&approval.server_nonce).ok_or(PollError::ServerNonceInvalid)?;
    message.extend_from_slice(approval.approval_reference.as_bytes());
    message.extend_from_slice(&poll.client_nonce_bytes);
    verify_proof(&approval.agent_pubkey_der, &message, &poll.proof)?;
    let (outcome, word) = match approval.status.as_str() {
        "pending" => (PollOutcome::Pending, "pending"),
        "denied" => (PollOutcome::Denied, "denied"),
        "expired" => (PollOutcome::Expired, "expired"),
        "completed" => (PollOutcome::Finalized, "already_completed"),
        "approved" => return Ok(PollState::Approved(Box::new(approval))),
        "" => return Err(PollError::UnexpectedStatus("unknown".to_owned())),
        _ => return Err(PollError::UnexpectedStatus(approval.status)),
    };
    tracing::info!(
        r#ref = %approval.approval_reference,
        host = %shown(&approval.hostname_claimed),
        "enrollment poll {word}"
    );
    Ok(PollState::Outcome(outcome))
}

#[cfg(test)]
mod tests;
