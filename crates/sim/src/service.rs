//! A world for threads that are not the simulation's: they come in for a call and go out again.
//!
//! A program that knows nothing of virtual threads calls an engine on a [`crate::SimHost`] this
//! way. Who runs next inside is drawn from the seed, as ever; time is the machine's, since a
//! program outside looks at it too, and so a run is repeated in its choices but not to the
//! nanosecond.

use crate::choose::Chooser;
use crate::schedule::Schedule;
use crate::state::Limits;
use crate::thread::{current, run_as};
use crate::world::World;
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

thread_local! {
    /// The number of this thread in the world of that number.
    static KNOWN: Cell<Option<(u64, usize)>> = const { Cell::new(None) };
}

/// How often the real world is looked at while all wait.
const PAUSE: Duration = Duration::from_micros(100);

/// A world that serves threads from outside; it lasts as long as the process.
#[derive(Clone)]
pub struct Service {
    world: Arc<World>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}

impl Service {
    /// A world whose choices are drawn from `seed`; a thread of its own watches over its time.
    pub fn new(seed: u64) -> Service {
        let limits = Limits { steps: u64::MAX, slack: 0 };
        let world = World::new(Chooser::of(&Schedule::Random { seed }), limits, true);
        let ticking = Arc::clone(&world);
        std::thread::Builder::new()
            .name("virtual/clock".to_owned())
            .spawn(move || ticking.tick(PAUSE))
            .expect("a thread for the clock");
        Service { world }
    }

    /// Runs `body` as a virtual thread of the world.
    pub fn call<R>(&self, body: impl FnOnce() -> R) -> R {
        if current().is_some() {
            return body();
        }
        let known = KNOWN.get().filter(|(world, _)| *world == self.world.number);
        let id = self.world.enter(known.map(|(_, id)| id));
        KNOWN.set(Some((self.world.number, id)));
        run_as(&self.world, id, body)
    }
}
