//! Certificates that a running relay has by itself: when one is due, it is asked for, and written
//! where the doors look. How an authority is spoken with is `postrider-acme`'s affair.

mod attempts;
mod door;
mod due;
mod files;
mod keeper;
mod notes;
mod port;
mod trouble;

pub(crate) use attempts::{Attempts, Failure};
pub(crate) use door::ChallengeDoor;
pub(crate) use due::Early;
pub(crate) use files::{remove_leftovers, write_placeholders};
pub(crate) use keeper::{Gauges, Keeper};
pub(crate) use port::{Port80, Shut};
