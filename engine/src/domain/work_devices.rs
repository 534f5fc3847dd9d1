//! Which device work was begun for.

use super::guid::Guid;

/// For whom an activity is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BoundTo {
    Device(Guid),
    /// For none: no device had the host's name, or the server does the work itself.
    Nobody,
}

impl BoundTo {
    /// For this device, or for none.
    pub fn of(guid: Option<Guid>) -> Self {
        guid.map_or(Self::Nobody, Self::Device)
    }

    pub fn device(&self) -> Option<&Guid> {
        match self {
            Self::Device(guid) => Some(guid),
            Self::Nobody => None,
        }
    }
}
