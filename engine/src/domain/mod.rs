//! Pure types and pure rules: no I/O, nothing that reads the time or randomness by itself.

pub mod agent_registry;
#[cfg(test)]
pub(crate) mod arbitrary;
pub mod assembly;
pub mod base64;
pub mod clock;
pub mod coerce;
pub mod credential;
pub mod device;
pub mod digest;
pub mod dpop;
pub mod fernet;
pub mod guess_limit;
pub mod guid;
pub mod hash_list;
pub mod job;
pub mod json;
pub mod json_reader;
pub mod json_text;
pub mod jws;
pub mod mask;
pub mod password;
pub mod percent;
pub mod proof;
pub mod public_key;
pub mod random;
pub mod rate_limit;
pub mod replay;
pub mod repository_head;
pub mod schedule;
pub mod server_name;
pub mod start_time;
pub mod text;
pub mod timestamp;
pub mod totp;
pub mod used_codes;
