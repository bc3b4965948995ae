//! Sizes of tasks. Fargate takes only certain pairs of CPU and memory; they are checked here, before anything is called.

use waybill_model::plan::Architecture;

const GIB: u32 = 1024;

/// CPU in units (1024 are one), and for each the smallest memory, the largest and the step in MiB.
const PAIRS: [(u32, u32, u32, u32); 7] = [
    (256, 512, 2 * GIB, 0),
    (512, GIB, 4 * GIB, GIB),
    (1024, 2 * GIB, 8 * GIB, GIB),
    (2048, 4 * GIB, 16 * GIB, GIB),
    (4096, 8 * GIB, 30 * GIB, GIB),
    (8192, 16 * GIB, 60 * GIB, 4 * GIB),
    (16_384, 32 * GIB, 120 * GIB, 8 * GIB),
];

/// The smallest and the largest ephemeral storage that can be asked for, in GiB.
const DISK: std::ops::RangeInclusive<u32> = 21..=200;

/// Which size can't be had, and what can.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {what}")]
pub struct SizeError {
    /// `cpu`, `memory`, `disk` or `architecture`.
    pub field: &'static str,
    /// What is wrong, and what can be had.
    pub what: String,
}

impl SizeError {
    fn new(field: &'static str, what: impl Into<String>) -> Self {
        Self { field, what: what.into() }
    }

    pub(super) fn no_disk() -> Self {
        Self::new("disk", "on EC2 a task has the disk of its host: leave it out")
    }

    pub(super) fn no_family(architecture: Architecture) -> Self {
        Self::new("architecture", format!("there is no task family for {architecture}"))
    }
}

/// Checks a pair as Fargate takes it.
pub fn check_pair(cpu: u32, memory_mib: u32) -> Result<(), SizeError> {
    let Some((_, least, most, step)) = PAIRS.iter().find(|pair| pair.0 == cpu) else {
        let known = PAIRS.map(|pair| pair.0.to_string()).join(", ");
        return Err(SizeError::new(
            "cpu",
            format!("{cpu} units can't be had; one of {known} (1024 units are one CPU)"),
        ));
    };
    let fits = match step {
        0 => [512, GIB, 2 * GIB].contains(&memory_mib),
        step => (*least..=*most).contains(&memory_mib) && memory_mib.is_multiple_of(*step),
    };
    if fits {
        return Ok(());
    }
    let can = match step {
        0 => "512, 1024 or 2048 MiB".to_owned(),
        step => format!("{least} to {most} MiB in steps of {step}"),
    };
    Err(SizeError::new("memory", format!("{memory_mib} MiB can't be had with {cpu} CPU units; {can}")))
}

/// Checks the size of the ephemeral storage; 0 leaves Fargate's own 20 GiB.
pub fn check_disk(gib: u32) -> Result<(), SizeError> {
    if gib == 0 || DISK.contains(&gib) {
        return Ok(());
    }
    let what = format!("{gib} GiB can't be had; {} to {} GiB, or nothing for 20 GiB", DISK.start(), DISK.end());
    Err(SizeError::new("disk", what))
}

/// The smallest pair with at least this CPU and this memory.
pub fn fitting(cpu: u32, memory_mib: u32) -> Result<(u32, u32), SizeError> {
    for (units, least, most, step) in PAIRS.into_iter().filter(|pair| pair.0 >= cpu) {
        if memory_mib > most {
            continue;
        }
        let memory = match step {
            0 => [512, GIB, 2 * GIB].into_iter().find(|size| *size >= memory_mib).unwrap_or(most),
            step => memory_mib.max(least).next_multiple_of(step),
        };
        return Ok((units, memory));
    }
    Err(SizeError::new(
        "memory",
        format!("{memory_mib} MiB with {cpu} CPU units is more than a task can have: 122880 MiB"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pairs_that_fargate_takes_are_taken() {
        for good in
            [(256, 512), (256, 2048), (512, 3072), (1024, 2048), (4096, 30_720), (8192, 20_480), (16_384, 122_880)]
        {
            assert_eq!(check_pair(good.0, good.1), Ok(()), "{good:?}");
        }
        for bad in
            [(256, 1536), (256, 4096), (512, 512), (1024, 2500), (8192, 17_408), (16_384, 36_864), (300, 512), (0, 0)]
        {
            assert!(check_pair(bad.0, bad.1).is_err(), "{bad:?}");
        }
        let said = check_pair(1024, 1024).expect_err("too little").to_string();
        assert_eq!(said, "memory: 1024 MiB can't be had with 1024 CPU units; 2048 to 8192 MiB in steps of 1024");
    }

    #[test]
    fn a_wish_becomes_the_smallest_pair_that_holds_it() {
        for (cpu, memory, pair) in [
            (256, 1, (256, 512)),
            (256, 600, (256, 1024)),
            (256, 3000, (512, 3072)),
            (256, 9000, (2048, 9216)),
            (512, 100, (512, 1024)),
            (1024, 31_000, (8192, 32_768)),
            (256, 122_880, (16_384, 122_880)),
        ] {
            let found = fitting(cpu, memory).expect("a pair");
            assert_eq!(found, pair);
            assert_eq!(check_pair(found.0, found.1), Ok(()));
        }
        assert_eq!(fitting(256, 122_881).expect_err("too much").field, "memory");
        assert_eq!(fitting(20_000, 512).expect_err("too much").field, "memory");
    }

    #[test]
    fn ephemeral_storage_is_the_default_or_in_its_range() {
        assert!([0, 21, 200].into_iter().all(|gib| check_disk(gib).is_ok()));
        assert!([1, 20, 201].into_iter().all(|gib| check_disk(gib).is_err()));
    }
}
