//! What only the whole relay can show: a Bcc on the wire, pace at delivery, doors that close while
//! somebody speaks, a disk without room, a key for tests.

mod closing;
mod envelope;
mod newcomer;
mod pace;
mod protocol;
mod recorded;
mod secrets;
mod simulator;
mod vendors;
