//! Pure types and pure rules: no I/O, nothing that reads the time or randomness by itself.

pub mod base64;
pub mod clock;
pub mod coerce;
pub mod digest;
pub mod dpop;
pub mod guid;
pub mod json;
pub mod json_text;
pub mod jws;
pub mod mask;
pub mod percent;
pub mod proof;
pub mod random;
pub mod rate_limit;
pub mod replay;
pub mod repository_head;
pub mod text;
pub mod timestamp;
