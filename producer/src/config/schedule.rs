//! The flags of a crawl that repeats.

use std::time::Duration;

use catalog_shared::duration;
use catalog_shared::exit::Stop;
use clap::Args;

use crate::schedule::Schedule;

/// The maximum of the default of `--jitter`.
const MAX_DEFAULT_JITTER: Duration = Duration::from_secs(600);
/// The maximum interval: ten years of 365.25 days. Much longer ones end after the last time that can be represented, in the
/// year 9999.
const MAX_INTERVAL: Duration = Duration::from_secs(10 * 31_557_600);

/// Parses the time between two slots.
fn interval(text: &str) -> Result<Duration, &'static str> {
    match duration::at_least_a_second(text) {
        Ok(interval) if interval <= MAX_INTERVAL => Ok(interval),
        Ok(_) | Err(duration::TOO_LONG) => Err("must be at most 10y, such as 6h or 7d"),
        Err(rule) => Err(rule),
    }
}

/// The flags of a crawl that repeats.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Schedule")]
pub struct ScheduleArgs {
    /// Keep running, and crawl at each multiple of this time since 1970 in UTC: 6h means 00:00, 06:00, 12:00 and 18:00
    /// (such as 6h; from 1s to 10y)
    #[arg(long, value_parser = interval, value_name = "DURATION", conflicts_with_all = ["restart", "dry_run"])]
    pub every: Option<Duration>,

    /// With --every: crawl the whole catalog once in this time, and in between only what was updated (as --since auto)
    #[arg(long, value_parser = interval, value_name = "DURATION", requires = "every",
          conflicts_with_all = ["since", "limit", "cursor"])]
    pub full_every: Option<Duration>,

    /// With --every: the maximum delay of a crawl after its slot, up to half of --every; each process draws its delay once at its start
    /// [default: a tenth of --every, at most 10m]
    #[arg(long, value_parser = duration::parse, value_name = "DURATION", requires = "every")]
    pub jitter: Option<Duration>,
}

impl ScheduleArgs {
    /// The schedule; `None` without `--every`. `drawn` is a random number from 0 to 1: the part of the jitter that delays each
    /// crawl.
    ///
    /// # Errors
    /// [`Stop::Usage`] for flags that contradict each other.
    pub(crate) fn schedule(&self, datasets: bool, drawn: f64) -> Result<Option<Schedule>, Stop> {
        let Some(every) = self.every else { return Ok(None) };
        let refused = |text: &str| Err(Stop::Usage(text.to_owned()));
        let jitter = self.jitter.unwrap_or_else(|| (every / 10).min(MAX_DEFAULT_JITTER));
        // Otherwise a late crawl could start after the next slot, and would count as the crawl of that slot.
        if jitter > every / 2 {
            return refused("--jitter must be at most half of --every");
        }
        if self.full_every.is_some_and(|full_every| full_every < every) {
            return refused("--full-every must be at least as long as --every");
        }
        if self.full_every.is_some() && !datasets {
            return refused(
                "--full-every works with datasets only: without them every crawl is equally short",
            );
        }
        Ok(Some(Schedule::new(every, self.full_every, jitter, drawn)))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::crawl::tests::{parse, try_parse};

    fn refusal(flags: &[&str]) -> String {
        let args = match try_parse(flags) {
            Ok(args) => args,
            Err(error) => return error.to_string(),
        };
        args.schedule.schedule(args.datasets, 0.0).unwrap_err().to_string()
    }

    #[test]
    fn flags_that_contradict_each_other_are_refused_with_their_names() {
        let lines: [(&[&str], &str); 12] = [
            (&["--every", "6h", "--full-every", "1h"], "--full-every"),
            (&["--every", "1h", "--jitter", "1h"], "--jitter must be at most half of --every"),
            (&["--every", "1h", "--jitter", "54m"], "--jitter must be at most half of --every"),
            (&["--every", "1h", "--full-every", "1d", "--datasets=false"], "--full-every"),
            (&["--every", "1h", "--full-every", "1d", "--since", "auto"], "--since"),
            (&["--every", "1h", "--restart"], "--restart"),
            (&["--every", "1h", "--dry-run"], "--dry-run"),
            (&["--full-every", "1h"], "--every"),
            (&["--every", "0"], "--every"),
            // Added to a time, these end in no year that exists.
            (&["--every", "20000y"], "must be at most 10y"),
            (&["--every", "18446744073709551615"], "must be at most 10y"),
            (&["--every", "1h", "--full-every", "11y"], "must be at most 10y"),
        ];
        for (flags, name) in lines {
            let refusal = refusal(flags);
            assert!(refusal.contains(name), "{flags:?}: {refusal}");
        }
    }

    #[test]
    fn a_crawl_without_every_has_no_schedule_and_other_flags_may_repeat() {
        let schedule = |flags: &[&str]| {
            let args = parse(flags);
            args.schedule.schedule(args.datasets, 0.0).unwrap()
        };
        assert!(schedule(&[]).is_none());
        for flags in [
            &["--every", "1h"][..],
            &["--every", "10y"],
            &["--every", "1h", "--jitter", "30m"],
            &["--every", "1h", "--since", "auto", "--domain", "a.example"],
        ] {
            assert!(schedule(flags).is_some(), "{flags:?}");
        }
    }
}
