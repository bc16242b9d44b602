//! Whole sessions against a door of simple rules, through the public interface only.

mod any_bytes;
mod dialogues;
mod door;
mod limits;
mod order;
mod secrets;
