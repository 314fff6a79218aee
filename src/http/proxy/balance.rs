//! Which server of a pool comes next, by each method. A server's share is its weight as far as its health allows; of
//! those with a share of 0 none is chosen.

use super::pool::Member;
use crate::metrics::upstreams::mix;

/// Each round every candidate gains its share; the richest is chosen and pays what all gained.
pub(super) fn round_robin(members: &[Member], share: impl Fn(usize) -> i64) -> Option<usize> {
    let mut total = 0;
    let mut best: Option<usize> = None;
    for (index, member) in members.iter().enumerate() {
        let share = share(index);
        if share == 0 {
            continue;
        }
        total += share;
        member.credit.set(member.credit.get() + share);
        if best.is_none_or(|best| member.credit.get() > members[best].credit.get()) {
            best = Some(index);
        }
    }
    let chosen = &members[best?];
    chosen.credit.set(chosen.credit.get() - total);
    best
}

/// The fewest requests in relation to the share; among equals, round robin.
pub(super) fn least_connections(
    members: &[Member],
    share: impl Fn(usize) -> i64,
    active: impl Fn(usize) -> i64,
) -> Option<usize> {
    let indices = || (0..members.len()).filter(|&index| share(index) > 0);
    let load = |index: usize| (active(index), share(index).max(1));
    let least = indices().map(load).min_by(compare)?;
    let equal = |index: usize| {
        let share = share(index);
        let is_least = share > 0 && compare(&(active(index), share), &least).is_le();
        if is_least { share } else { 0 }
    };
    // Another thread may have changed the numbers in between.
    round_robin(members, equal).or_else(|| indices().next())
}

/// Loads: requests in flight by share. Idle servers are equal, whatever their share.
fn compare(one: &(i64, i64), other: &(i64, i64)) -> std::cmp::Ordering {
    (one.0 * other.1).cmp(&(other.0 * one.1))
}

/// Rendezvous hashing with weights: every server throws a die that is the same for ever for this client, and the best
/// throw wins. Without a server only its own clients go elsewhere.
pub(super) fn by_hash(
    members: &[Member],
    share: impl Fn(usize) -> i64,
    client: u64,
) -> Option<usize> {
    let score = |index: usize| {
        let hash = mix(members[index].hash ^ client);
        // In (0, 1): the upper 53 bits, and a half.
        let throw = ((hash >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        share(index) as f64 / -throw.ln()
    };
    (0..members.len())
        .filter(|&index| share(index) > 0)
        .max_by(|&one, &other| score(one).total_cmp(&score(other)))
}

/// The power of two choices: of two by chance, the one with fewer requests in relation to its share.
pub(super) fn random_two(
    members: &[Member],
    share: impl Fn(usize) -> i64,
    active: impl Fn(usize) -> i64,
    mut random: impl FnMut() -> u64,
) -> Option<usize> {
    let first = draw(members.len(), &share, random())?;
    let others = |index: usize| if index == first { 0 } else { share(index) };
    let Some(second) = draw(members.len(), others, random()) else {
        return Some(first);
    };
    let load = |index: usize| (active(index) + 1, share(index).max(1));
    Some(match compare(&load(second), &load(first)) {
        std::cmp::Ordering::Less => second,
        _ => first,
    })
}

/// One by chance, in proportion to the shares.
fn draw(count: usize, share: impl Fn(usize) -> i64, random: u64) -> Option<usize> {
    let total: i64 = (0..count).map(&share).sum();
    if total == 0 {
        return None;
    }
    let mut left = i64::try_from(random % total.unsigned_abs()).unwrap_or(0);
    let mut last = None;
    for index in 0..count {
        let share = share(index);
        if share == 0 {
            continue;
        }
        if left < share {
            return Some(index);
        }
        left -= share;
        last = Some(index);
    }
    last
}

#[cfg(test)]
mod tests {
    use super::super::pool::testing::members;
    use super::*;

    fn turns(members: &[Member], count: usize) -> Vec<usize> {
        let share = |index: usize| members[index].weight;
        (0..count)
            .map(|_| round_robin(members, share).unwrap())
            .collect()
    }

    fn counted(choices: impl Iterator<Item = usize>) -> Vec<usize> {
        choices.fold(vec![0; 3], |mut counts, index| {
            counts[index] += 1;
            counts
        })
    }

    #[test]
    fn weights_are_spread_smoothly() {
        assert_eq!(turns(&members(&[5, 1, 1]), 7), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(turns(&members(&[1, 1]), 4), [0, 1, 0, 1]);
        let shares = counted(turns(&members(&[3, 2, 1]), 10_000).into_iter());
        for (share, ideal) in shares.iter().zip([5_000, 3_333, 1_667]) {
            assert!(share.abs_diff(ideal) <= 1, "{shares:?}");
        }
    }

    #[test]
    fn the_least_busy_is_chosen_by_weight() {
        let members = members(&[3, 2, 1]);
        let share = |index: usize| members[index].weight;
        let with = |active: [i64; 3]| least_connections(&members, share, |index| active[index]);
        assert_eq!(with([3, 1, 1]), Some(1));
        assert_eq!(with([2, 2, 1]), Some(0));
        assert_eq!(with([3, 2, 0]), Some(2));
        let idle = counted((0..600).filter_map(|_| with([0, 0, 0])));
        assert_eq!(idle, [300, 200, 100]);
        assert_eq!(least_connections(&members, |_| 0, |_| 0), None);
    }

    #[test]
    fn a_server_less_moves_only_its_own_clients() {
        let members = members(&[3, 2, 1]);
        let all = |index: usize| members[index].weight;
        let without = |index: usize| if index == 1 { 0 } else { all(index) };
        let clients = (0..60_000).map(mix);
        let before: Vec<_> = clients
            .clone()
            .map(|client| by_hash(&members, all, client).unwrap())
            .collect();
        for (client, before) in clients.zip(&before) {
            let after = by_hash(&members, without, client).unwrap();
            assert!(after == *before || *before == 1);
        }
        for (share, ideal) in counted(before.into_iter())
            .iter()
            .zip([30_000, 20_000, 10_000_usize])
        {
            assert!(share.abs_diff(ideal) < 600, "{share} of {ideal}");
        }
    }

    #[test]
    fn two_by_chance_prefer_the_idle_one() {
        let members = members(&[3, 2, 1]);
        let share = |index: usize| members[index].weight;
        let mut number = 0;
        let mut random = || {
            number += 1;
            mix(number)
        };
        let mut choose = |busy: usize| {
            let active = |index: usize| if index == busy { 1_000 } else { 0 };
            random_two(&members, share, active, &mut random).unwrap()
        };
        assert_eq!(counted((0..3_000).map(|_| choose(0)))[0], 0);
        assert_eq!(draw(3, |_| 0, 5), None);
        let drawn = counted((0..60_000).filter_map(|number| draw(3, share, mix(number))));
        for (share, ideal) in drawn.iter().zip([30_000, 20_000, 10_000_usize]) {
            assert!(share.abs_diff(ideal) < 600, "{drawn:?}");
        }
    }
}
