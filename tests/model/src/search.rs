//! The protocol as the checker searches it: where it begins, what may come next, what must hold.

use stateright::{Model, Property};

use crate::process::COLD;
use crate::property;
use crate::scenario::Source;
use crate::state::{Action, Progress, WORKERS, Worker, World};
use crate::world::Protocol;

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            history: Vec::new(),
            restored: Vec::new(),
            is_gone: false,
            late: Vec::new(),
            sent: Vec::new(),
            workers: [Worker { life: COLD, job: None }; WORKERS],
            sources: [Progress::default(); 2],
            faults: 0,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        for source in Source::ALL {
            let progress = world.sources[source.index()];
            if progress.is_out || progress.gave_up || progress.is_done(source) {
                continue;
            }
            for at in 0..WORKERS {
                let is_twin = at > 0 && world.workers[at] == world.workers[at - 1];
                if world.workers[at].job.is_none() && !is_twin {
                    actions.push(Action::Deliver(source, at));
                }
            }
        }
        actions.extend((0..world.late.len()).map(Action::Land));
        if world.restored.len() < self.restores_max && world.current().is_some() {
            actions.push(Action::Restore);
        }
        for at in 0..WORKERS {
            self.worker_actions(world, at, actions);
        }
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        if let Err(surprise) = self.apply(&mut world, action) {
            self.surprise(surprise);
            return None;
        }
        self.settle(&mut world);
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        match self.restores_max {
            0 => property::all(),
            _ => property::of_restores(),
        }
    }
}
