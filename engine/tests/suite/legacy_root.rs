//! The engine over a root folder that the real legacy made and worked in, and what it leaves there for the legacy.

mod back;
mod forms;
mod over;
mod server;
