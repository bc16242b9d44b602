//! The fake internet on real sockets, seen by a raw client.

#[cfg(test)]
mod client;
#[cfg(test)]
mod dns;
#[cfg(test)]
mod lasting;
#[cfg(test)]
mod local_parts;
#[cfg(test)]
mod mailbox;
#[cfg(test)]
mod scripts;
#[cfg(test)]
mod simulator;
