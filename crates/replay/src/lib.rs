//! Five historic failures of io_uring and AIO, found again in this engine.
//!
//! Each [`Story`] is a small program. It is run by the engine's own code, under a simulated host
//! that decides which thread goes on at each step, twice: by an engine that was given one historic
//! bug (a constant of its host's type, see [`ringfence_host::bugs`]), which must be found, and by
//! the engine as it is, which must be clean under the same schedules. What finds them is the lock
//! validator, an oracle for unordered accesses, and one for references.
//!
//! It is no test of the kernel, and no model: nothing here restates what the engine does.
//!
//! ```
//! use ringfence_replay::{STORIES, Settings, replay};
//!
//! let settings = Settings { runs: 1, ..Settings::default() };
//! let told = replay(&STORIES[0], &settings);
//! assert_eq!((told.found, told.mended_clean), (1, true));
//! assert_eq!(told.title, "WARNING: possible recursive locking detected");
//! ```

mod drive;
mod host;
mod program;
mod report;
mod stories;

pub use drive::{Settings, Told, replay};
pub use stories::{STORIES, Story};

/// The story of that name.
pub fn story(name: &str) -> Option<&'static Story> {
    STORIES.iter().find(|story| story.name == name)
}
