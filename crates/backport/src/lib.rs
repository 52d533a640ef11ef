//! Carries a fix to the stable branches, with nothing but facts that a command proves.
//!
//! The pure half takes no process and no repository: reading patches ([`diff`]) and messages
//! ([`message`]), recognising a copy of a commit ([`fingerprint`], [`there`]), carrying a change
//! over to other text ([`merge`]). The other half ([`repo`]) asks git and decides nothing.
//!
//! It is not a patch queue: it shows what a backport would be and why, and writes nothing to the
//! repository it looks at.
//!
//! ```
//! use ringfence_backport::message::origins;
//! let found = origins("aio: fix a race\n\ncommit baf10564fbb66ea222 upstream.\n");
//! assert_eq!(found[0].id, "baf10564fbb66ea222");
//! ```

pub mod category;
pub mod danger;
pub mod diff;
pub mod facts;
pub mod fingerprint;
pub mod mail;
pub mod mailbox;
pub mod merge;
pub mod message;
pub mod names;
pub mod presence;
pub mod repair;
pub mod repo;
pub mod report;
pub mod rules;
pub mod settled;
pub mod tags;
pub mod there;
pub mod verdict;
