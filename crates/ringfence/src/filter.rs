//! The seccomp filter of the trap tier: calls of io_uring and AIO from given addresses raise SIGSYS.
//!
//! A filter is permanent, and survives exec. It is scoped by address, so that a program executed
//! later, which is somewhere else, gets the kernel's own answer; so it must not be used where
//! programs are always at the same place.
use crate::raw;

const LD_W_ABS: u16 = 0x20;
const JMP_JEQ: u16 = 0x15;
const JMP_JGT: u16 = 0x25;
const JMP_JGE: u16 = 0x35;
const RET: u16 = 0x06;

const RET_ALLOW: u32 = 0x7fff_0000;
const RET_TRAP: u32 = 0x0003_0000;

const ARCH_X86_64: u32 = 0xc000_003e;

/// Offsets in `struct seccomp_data`.
const DATA_NR: u32 = 0;
const DATA_ARCH: u32 = 4;
const DATA_IP_LOW: u32 = 8;
const DATA_IP_HIGH: u32 = 12;

const SECCOMP_SET_MODE_FILTER: u64 = 1;
const SECCOMP_FILTER_FLAG_TSYNC: u64 = 1;

/// An instruction of classic BPF, as the kernel has it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    code: u16,
    when_true: u8,
    when_false: u8,
    value: u32,
}

const fn step(code: u16, when_true: u8, when_false: u8, value: u32) -> Step {
    Step { code, when_true, when_false, value }
}

/// The program for calls whose return address lies in `first..=last`.
fn program(first: u64, last: u64) -> Vec<Step> {
    let (first_high, first_low) = ((first >> 32) as u32, first as u32);
    let (last_high, last_low) = ((last >> 32) as u32, last as u32);
    // Places of the first step about addresses, and of the last but one, which allows; jumps count
    // from the step after their own.
    const IP: u8 = 8;
    const ALLOW: u8 = 14;
    vec![
        step(LD_W_ABS, 0, 0, DATA_ARCH),
        step(JMP_JEQ, 0, ALLOW - 2, ARCH_X86_64),
        step(LD_W_ABS, 0, 0, DATA_NR),
        // NUMBERS, by their three runs.
        step(JMP_JGT, ALLOW - 4, 0, 427),
        step(JMP_JGE, IP - 5, 0, 425),
        step(JMP_JEQ, IP - 6, 0, 333),
        step(JMP_JGT, ALLOW - 7, 0, 210),
        step(JMP_JGE, 0, ALLOW - 8, 206),
        step(LD_W_ABS, 0, 0, DATA_IP_HIGH),
        // A range across a 4 GiB line is not asked for: see `install`.
        step(JMP_JEQ, 0, ALLOW - 10, first_high),
        step(JMP_JEQ, 0, ALLOW - 11, last_high),
        step(LD_W_ABS, 0, 0, DATA_IP_LOW),
        step(JMP_JGE, 0, ALLOW - 13, first_low),
        step(JMP_JGT, 0, 1, last_low),
        step(RET, 0, 0, RET_ALLOW),
        step(RET, 0, 0, RET_TRAP),
    ]
}

/// Installs the filter for calls that return to `first..=last`, in all threads; an error is the
/// kernel's number.
pub(crate) fn install(first: u64, last: u64) -> Result<(), i32> {
    #[repr(C)]
    struct Program {
        len: u16,
        steps: *const Step,
    }
    if first >> 32 != last >> 32 {
        return Err(libc::ERANGE);
    }
    let steps = program(first, last);
    let program = Program { len: steps.len() as u16, steps: steps.as_ptr() };
    let at = std::ptr::from_ref(&program) as u64;
    let args = [SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, at, 0, 0, 0];
    let mut result = raw::call(libc::SYS_seccomp, args);
    if result == -i64::from(libc::EACCES) {
        // Only a process that can gain no privileges may filter itself, unless it has them all.
        raw::call(libc::SYS_prctl, [libc::PR_SET_NO_NEW_PRIVS as u64, 1, 0, 0, 0, 0]);
        result = raw::call(libc::SYS_seccomp, args);
    }
    if result == 0 { Ok(()) } else { Err(result.unsigned_abs() as i32) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::NUMBERS;

    /// Runs a program as the kernel would.
    fn run(steps: &[Step], data: &[u32; 4]) -> u32 {
        let (mut at, mut acc) = (0, 0);
        loop {
            let step = steps[at];
            at += 1;
            let holds = match step.code {
                RET => return step.value,
                LD_W_ABS => {
                    acc = data[step.value as usize / 4];
                    continue;
                }
                JMP_JEQ => acc == step.value,
                JMP_JGT => acc > step.value,
                JMP_JGE => acc >= step.value,
                other => panic!("{other:#x}"),
            };
            at += usize::from(if holds { step.when_true } else { step.when_false });
        }
    }

    #[test]
    fn traps_our_calls_in_the_range_and_nothing_else() {
        let (first, last) = (0x7fff_1000_2000u64, 0x7fff_1000_2fff);
        let steps = program(first, last);
        let near = NUMBERS.iter().flat_map(|number| [number - 1, *number, number + 1]);
        for number in near.chain([0, 1 << 30]) {
            for ip in [first - 1, first, first + 9, last, last + 1, first + (1 << 32), 0] {
                for arch in [ARCH_X86_64, 0x4000_0003] {
                    let data = [number, arch, ip as u32, (ip >> 32) as u32];
                    let ours = NUMBERS.contains(&number)
                        && (first..=last).contains(&ip)
                        && arch == ARCH_X86_64;
                    let wanted = if ours { RET_TRAP } else { RET_ALLOW };
                    assert_eq!(run(&steps, &data), wanted, "{number} {ip:x} {arch:x}");
                }
            }
        }
    }
}
