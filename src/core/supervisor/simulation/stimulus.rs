//! What happens to the supervisor and its workers.

use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
pub(super) enum Stimulus {
    Reload,
    /// The next configuration to be loaded is broken.
    BreakConfig,
    /// Kill the n-th living process.
    Death(u8),
    /// Stop the n-th living process (SIGSTOP): it lives, keeps its sockets and does nothing more.
    Freeze(u8),
    /// The n-th living process sends this, late or uncalled for.
    Stray(u8, StrayKind),
    /// So many of the next spawned workers go wrong in this way.
    Faults(u8, Fault),
    Wait(u16),
    /// Nothing can be spawned for so long.
    Drought(u16),
    Stop,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum StrayKind {
    Ready,
    StoppedAccepting,
    Failed,
    Misbehaved,
    Exited,
    Spawned,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    SpawnFails,
    Exits,
    SaysFailed,
    Hangs,
    DiesAfterReady,
    IgnoresStop,
    NeverDrains,
}

/// Any of them, the common ones more often.
pub(super) fn stimulus() -> impl Strategy<Value = Stimulus> {
    let stray = prop_oneof![
        Just(StrayKind::Ready),
        Just(StrayKind::StoppedAccepting),
        Just(StrayKind::Failed),
        Just(StrayKind::Misbehaved),
        Just(StrayKind::Exited),
        Just(StrayKind::Spawned),
    ];
    let fault = prop_oneof![
        Just(Fault::SpawnFails),
        Just(Fault::Exits),
        Just(Fault::SaysFailed),
        Just(Fault::Hangs),
        Just(Fault::DiesAfterReady),
        Just(Fault::IgnoresStop),
        Just(Fault::NeverDrains),
    ];
    prop_oneof![
        6 => Just(Stimulus::Reload),
        1 => Just(Stimulus::BreakConfig),
        4 => any::<u8>().prop_map(Stimulus::Death),
        2 => any::<u8>().prop_map(Stimulus::Freeze),
        2 => (any::<u8>(), stray).prop_map(|(nth, kind)| Stimulus::Stray(nth, kind)),
        3 => (any::<u8>(), fault).prop_map(|(count, fault)| Stimulus::Faults(count, fault)),
        10 => (0..400_u16).prop_map(Stimulus::Wait),
        2 => (0..12_000_u16).prop_map(Stimulus::Wait),
        1 => (0..5000_u16).prop_map(Stimulus::Drought),
    ]
}
