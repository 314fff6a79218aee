//! Random schedules of triggers, deaths, failures and late answers against a model of the processes. What must hold
//! is checked after every event, and once more when everything has become quiet.
//!
//! - this file: the schedules
//! - `stimulus`: what happens
//! - `world`: the processes, and time; `execution`: what the supervisor has done to them
//! - `verdict`: what must hold

mod execution;
mod stimulus;
mod verdict;
mod world;

use std::time::Duration;

use proptest::prelude::*;

use self::stimulus::{Fault, Stimulus, stimulus};
use self::world::World;
use crate::ipc::message::WorkerId;

const SCHEDULES: u32 = 4000;

proptest! {
    #![proptest_config(ProptestConfig { cases: SCHEDULES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_schedule_ends_well(
        seed in any::<u64>(),
        stimuli in prop::collection::vec(stimulus(), 0..60),
    ) {
        let mut world = World::new(seed);
        stimuli.into_iter().for_each(|stimulus| world.apply(stimulus));
        world.settle();
    }

    #[test]
    fn any_schedule_can_be_stopped(
        seed in any::<u64>(),
        before in prop::collection::vec(stimulus(), 0..30),
        after in prop::collection::vec(stimulus(), 0..10),
        twice in any::<bool>(),
    ) {
        let mut world = World::new(seed);
        before.into_iter().for_each(|stimulus| world.apply(stimulus));
        if world.exit.is_some() {
            // The first generation did not start.
            return Ok(());
        }
        world.apply(Stimulus::Stop);
        after.into_iter().for_each(|stimulus| world.apply(stimulus));
        if twice {
            world.apply(Stimulus::Stop);
        }
        world.settle();
        prop_assert_eq!(world.exit, Some(0));
    }
}

#[test]
fn triggers_during_a_reload_become_exactly_one_more() {
    let mut world = World::new(1);
    world.advance(Duration::from_secs(1));
    for _ in 0..5 {
        world.ask();
    }
    world.advance(Duration::from_secs(10));
    assert_eq!(
        world.version, 3,
        "boot, the first, and one for the other four"
    );
    assert_eq!(world.answered.len(), 5);
}

#[test]
fn a_failed_generation_leaves_the_old_one_untouched() {
    let mut world = World::new(2);
    world.advance(Duration::from_secs(1));
    let before: Vec<WorkerId> = world.supervisor.workers.keys().copied().collect();
    world.faults = vec![Fault::SaysFailed; 30];
    world.ask();
    world.advance(Duration::from_secs(10));
    assert_eq!(world.version, 1);
    assert_eq!(
        world.supervisor.workers.keys().copied().collect::<Vec<_>>(),
        before
    );
}
