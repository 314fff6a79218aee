//! How a server's answers and failures change what is thought of it. Pure: [`State`] and the time go in, a state comes
//! out. Times are milliseconds.

use crate::metrics::upstreams::{Cause, Condition, MAX_LEVEL, State};

/// Failures in a row that take a server out, unless it cannot even be connected to.
const MAX_STREAK: u8 = 3;
/// How long a server is left alone for the first time; then twice as long, and so on.
const FIRST_BACK_OFF: u64 = 1_000;
const LONGEST_BACK_OFF: u64 = 60_000;
/// Where connections are refused a trial costs nobody anything, so the back-off ends at 4 seconds.
const MAX_REFUSED_LEVEL: u8 = 3;
/// While a whole pool is out, how soon one of its servers may be tried, in relation to its back-off.
const EARLY_TRIAL: u64 = 4;
const LATEST_EARLY_TRIAL: u64 = 2_000;
/// How long a server that came back has less than its share.
pub(super) const RISING_FOR: u64 = 10_000;
/// Of its share that a server has in the first moment.
const FIRST_SHARE: i64 = WHOLE / 10;
/// A server's whole share.
pub(super) const WHOLE: i64 = 256;

fn back_off(level: u8) -> u64 {
    let doublings = u32::from(level.clamp(1, 16) - 1);
    (FIRST_BACK_OFF << doublings).min(LONGEST_BACK_OFF)
}

/// The part of its weight, of [`WHOLE`], that a server has now; 0 while it is out.
pub(super) fn share(state: State, now: u64) -> i64 {
    match state.condition {
        _ if state.failed_checks => 0,
        Condition::Up => WHOLE,
        Condition::Out => 0,
        Condition::Rising => {
            let risen = now.saturating_sub(state.at).min(RISING_FOR);
            let part = i64::try_from(risen).unwrap_or(0) * WHOLE / RISING_FOR as i64;
            part.max(FIRST_SHARE)
        }
    }
}

/// When the server may get one request to show that it is back. `alone`: no other one of its pool serves.
pub(super) fn trial_at(state: State, alone: bool) -> Option<u64> {
    if state.condition != Condition::Out || state.failed_checks {
        return None;
    }
    let span = back_off(state.level);
    let early = (span / EARLY_TRIAL).min(LATEST_EARLY_TRIAL);
    let began = state.at.saturating_sub(span);
    Some(if alone { began + early } else { state.at })
}

/// The state of a server that gets a trial request now: the next one has to wait.
pub(super) fn on_trial(state: State, now: u64) -> State {
    State {
        at: now + back_off(state.level),
        ..state
    }
}

/// After a response, whatever its status. `trial`: to a request that was to show whether the server is back.
pub(super) fn answered(state: State, now: u64, trial: bool) -> State {
    match state.condition {
        Condition::Out if trial => State {
            condition: Condition::Rising,
            streak: 0,
            at: now,
            ..state
        },
        // It was sent before the server was taken out.
        Condition::Out => state,
        Condition::Rising if now.saturating_sub(state.at) >= RISING_FOR => State {
            failed_checks: state.failed_checks,
            ..State::default()
        },
        Condition::Up | Condition::Rising => State { streak: 0, ..state },
    }
}

/// After a request without a response. `last`: no other server of the pool serves; then late answers are better than
/// none, and only one that cannot be connected to is taken out.
pub(super) fn failed(state: State, now: u64, cause: Cause, trial: bool, last: bool) -> State {
    if state.condition == Condition::Out && !trial {
        return state;
    }
    let unreachable = matches!(cause, Cause::Refused | Cause::ConnectTimeout);
    let streak = state.streak.saturating_add(1);
    if trial || unreachable || (streak >= MAX_STREAK && !last) {
        out(state, now, cause)
    } else {
        State { streak, ..state }
    }
}

/// Health checks say that the server is well. One that could not be connected to is back by that; one that did not
/// answer requests has to show that it does.
pub(super) fn checked_well(state: State, now: u64, cause: Option<Cause>) -> State {
    let unanswering = matches!(cause, Some(Cause::Reset | Cause::Timeout));
    let back = state.condition == Condition::Out && !unanswering;
    if !state.failed_checks && !back {
        return state;
    }
    let stays_out = state.condition == Condition::Out && !back;
    State {
        condition: if stays_out {
            Condition::Out
        } else {
            Condition::Rising
        },
        failed_checks: false,
        streak: 0,
        at: if stays_out { state.at } else { now },
        ..state
    }
}

fn out(state: State, now: u64, cause: Cause) -> State {
    let most = match cause {
        Cause::Refused => MAX_REFUSED_LEVEL.max(state.level),
        _ => MAX_LEVEL,
    };
    let level = (state.level + 1).min(most);
    State {
        condition: Condition::Out,
        level,
        streak: 0,
        at: now + back_off(level),
        ..state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: State = State {
        condition: Condition::Up,
        failed_checks: false,
        level: 0,
        streak: 0,
        at: 0,
    };

    fn refused(state: State, now: u64, trial: bool) -> State {
        failed(state, now, Cause::Refused, trial, false)
    }

    #[test]
    fn back_off_doubles_up_to_a_minute() {
        let silent = |state, now, trial| failed(state, now, Cause::ConnectTimeout, trial, false);
        let (mut state, mut now, mut spans) = (UP, 0, vec![]);
        for turn in 0..9 {
            state = silent(state, now, turn > 0);
            spans.push((state.at - now) / 1000);
            now = trial_at(state, false).unwrap();
            state = on_trial(state, now);
        }
        assert_eq!(spans, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        let refused = (0..9).fold(UP, |state, turn| refused(state, 0, turn > 0));
        assert_eq!(refused.at, 4_000);
    }

    #[test]
    fn a_trial_is_one_request() {
        let out = refused(UP, 1_000, false);
        assert_eq!((share(out, 5_000), trial_at(out, false)), (0, Some(2_000)));
        let tried = on_trial(out, 2_500);
        assert_eq!(trial_at(tried, false), Some(3_500));
        // What other requests see meanwhile decides nothing.
        assert_eq!(refused(tried, 2_600, false), tried);
        assert_eq!(answered(tried, 2_600, false), tried);
        let back = answered(tried, 2_600, true);
        assert_eq!(back.condition, Condition::Rising);
    }

    #[test]
    fn a_pool_that_is_all_out_is_tried_earlier() {
        let out = refused(UP, 0, false);
        assert_eq!(trial_at(out, true), Some(250));
        let much = State {
            level: 9,
            at: 60_000,
            ..out
        };
        assert_eq!(trial_at(much, true), Some(2_000));
        assert_eq!(trial_at(UP, true), None);
    }

    #[test]
    fn a_server_rises_slowly_and_is_then_forgiven() {
        let out = refused(refused(UP, 0, false), 1_000, true);
        let back = answered(out, 10_000, true);
        let shares = [10_000, 15_000, 20_000, 90_000].map(|now| share(back, now));
        assert_eq!(shares, [FIRST_SHARE, WHOLE / 2, WHOLE, WHOLE]);
        assert_eq!(refused(back, 12_000, false).level, 3);
        assert_eq!(answered(back, 20_000, false), UP);
    }

    #[test]
    fn late_answers_take_out_after_some_in_a_row_but_never_the_last() {
        let late = |state, last| failed(state, 0, Cause::Timeout, false, last);
        let mut state = UP;
        for _ in 1..MAX_STREAK {
            state = late(state, false);
            assert_eq!(state.condition, Condition::Up);
        }
        assert_eq!(
            late(answered(state, 0, false), false).condition,
            Condition::Up
        );
        assert_eq!(late(state, true).condition, Condition::Up);
        assert_eq!(late(state, false).condition, Condition::Out);
    }

    #[test]
    fn health_checks_have_the_last_word() {
        let failed = State {
            failed_checks: true,
            ..UP
        };
        assert_eq!(share(failed, 0), 0);
        let out = State {
            condition: Condition::Out,
            ..failed
        };
        assert_eq!(trial_at(out, true), None);
        assert!(answered(failed, 0, false).failed_checks);
        let back = checked_well(out, 5, Some(Cause::CheckSilence));
        assert_eq!((back.condition, back.at), (Condition::Rising, 5));
        assert!(back.is_healthy());
        assert_eq!(checked_well(UP, 5, None), UP);
    }

    #[test]
    fn a_check_does_not_prove_that_requests_are_answered() {
        let late = failed(UP, 0, Cause::Timeout, true, false);
        assert_eq!(checked_well(late, 1, Some(Cause::Timeout)), late);
        let refused = refused(UP, 0, false);
        assert!(checked_well(refused, 1, Some(Cause::Refused)).is_healthy());
    }
}
