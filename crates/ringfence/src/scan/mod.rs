//! Finds call sites of the system calls of io_uring and Linux AIO in machine code.
//!
//! A site is *certain* if it is `mov eax, NUMBER` followed by straight-line code up to a
//! `syscall`. Compilers put argument loads between the two, and sometimes a direct jump to a shared
//! `syscall`; both are followed. The jump then takes the place of the load alone.
//!
//! Where the number is not to be seen (a function that gets it as an argument, a register that was
//! loaded before a loop), the jump takes the place of the last instructions before the `syscall`,
//! and the number is looked at in each call. That needs five bytes into whose middle nothing
//! branches. Where they are missing the call is a *suspect*, and only a trap can tell.
//!
//! Calls that close or replace descriptors are found in the same way, so that the engine hears of
//! them: by the load of their number, where a function is known, for 3 is a number like any other.
//!
//! Safe code over bytes: memory is read by `objects`, written by `patch`.

mod branches;

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic,
    OpAccess, OpKind, Register,
};
use memchr::memmem;

/// The calls that are served: `io_setup`, `io_destroy`, `io_getevents`, `io_submit`, `io_cancel`;
/// `io_pgetevents`; `io_uring_setup`, `io_uring_enter` and `io_uring_register`.
pub(crate) const NUMBERS: [u32; 9] = [206, 207, 208, 209, 210, 333, 425, 426, 427];

/// `close`, `dup2`, `dup3`, `close_range`.
pub(crate) const CLOSING: [u32; 4] = [3, 33, 292, 436];

/// How many instructions may stand between the number and the call.
const BODY_MAX: usize = 48;

/// Where no function is known: how far before a place decoding starts, bytes; at how many places
/// it starts; and how much around a call is looked at.
const FAR: u64 = 96;
const STARTS: u64 = 16;
const AROUND: u64 = 2048;

/// How many instructions of data fail to look like code at all, nearly always.
const DATA: usize = 8;

/// How far before a `syscall` a number is looked for, in bytes.
const REACH: u64 = 192;

/// The length of the jump that is put over the start of a site.
pub(crate) const JUMP_LEN: u64 = 5;

/// A call that can be led away.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// What stands before the call, from where the jump goes; jumps on the way are left out, and
    /// addresses are those of the original.
    pub(crate) body: Vec<Instruction>,
    /// Address of the `syscall`.
    pub(crate) call: u64,
    /// What is known of the number.
    pub(crate) number: Number,
}

/// Which system call a site makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    /// One of [`NUMBERS`], for certain.
    Ring,
    /// One that closes or replaces descriptors, for certain.
    Closing,
    /// It has to be looked at in each call.
    Unknown,
}

impl Site {
    /// Where the jump is put.
    pub(crate) fn at(&self) -> u64 {
        self.body[0].ip()
    }
}

/// What a piece of code holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// Sites that can be led to the engine.
    pub(crate) sites: Vec<Site>,
    /// Addresses of `syscall` instructions that may be io_uring's and have no room for a jump.
    pub(crate) suspects: Vec<u64>,
    /// Addresses of all `0f 05` bytes, whether they are instructions or parts of some.
    pub(crate) calls: Vec<u64>,
    /// A call that closes or replaces descriptors can be neither led away nor told apart.
    pub(crate) closes: bool,
}

/// Scans `code`, which starts at address `base`. `function` gives the bounds of the function at an
/// address, where the object says.
///
/// Executable memory may hold data. Only where a function is known are a call's last instructions
/// known for certain; elsewhere such a call is left to a trap, which harms no data.
pub(crate) fn scan(code: &[u8], base: u64, function: &dyn Fn(u64) -> Option<(u64, u64)>) -> Found {
    let mut found = Found::default();
    let mut finder = Finder { code, base, function, info: InstructionInfoFactory::new() };
    let calls: Vec<u64> =
        memmem::find_iter(code, &[0x0f, 0x05]).map(|offset| base + offset as u64).collect();
    if calls.is_empty() {
        return found;
    }
    for start in number_loads(code, base) {
        if let Some(site) = finder.follow(start)
            && NUMBERS.contains(&site.body[0].immediate32())
            && finder.line(site.at()).is_some()
        {
            found.sites.push(site);
        }
    }
    let mut late = Vec::new();
    for &call in &calls {
        if found.sites.iter().any(|site| site.call == call) {
            continue;
        }
        let Some(line) = finder.line(call) else { continue };
        let constant = finder.constant_numbers(&line, call);
        if !constant.is_empty() {
            let closing = constant.into_iter().filter(|site| site.number == Number::Closing);
            for site in closing {
                if line.certain {
                    found.sites.push(site);
                } else {
                    found.closes = true;
                }
            }
            continue;
        }
        let kept = finder.kept_number(&line);
        if kept.is_some_and(|number| !CLOSING.contains(&number)) {
            continue;
        }
        match before(&line) {
            Some(site)
                if line.certain
                    && !branches::enters(&site, &line.steps)
                    && !branches::enters(&site, &finder.decode(call, line.function_end)) =>
            {
                late.push(site);
            }
            _ if kept.is_some() => found.closes = true,
            _ => found.suspects.push(call),
        }
    }
    let (late, entered) = branches::split_entered(code, base, late);
    found.suspects.extend(entered.iter().map(|site| site.call));
    found.sites.extend(late);
    found.calls = calls;
    found
}

/// Whether code seems to make the call `io_setup` by its instruction: its number is loaded into some
/// register, as compilers do that call it in a loop, and a `syscall` follows within a function's length.
/// Bytes that look so by chance do no harm but cost.
pub(crate) fn seems_to_set_up_aio(code: &[u8]) -> bool {
    memmem::find_iter(code, &[206, 0, 0, 0]).any(|at| {
        let before = |n: usize| at.checked_sub(n).map(|at| code[at]);
        // `mov r32, imm32`; `mov r/m64, imm32` with a register.
        let loads = matches!(before(1), Some(0xb8..=0xbf))
            || matches!((before(2), before(1)), (Some(0xc7), Some(0xc0..=0xc7)));
        let rest = &code[at + 4..code.len().min(at + 4 + AROUND as usize)];
        loads && memmem::find(rest, &[0x0f, 0x05]).is_some()
    })
}

/// The instructions of a function, or of some stretch, that end where a given one starts.
#[derive(Debug)]
struct Line {
    steps: Vec<Instruction>,
    /// Where they end.
    end: u64,
    /// The end of the function, if it is known.
    function_end: u64,
    /// Whether they start where a function does.
    certain: bool,
}

/// The instructions right before a `syscall`, as many as a jump takes.
fn before(line: &Line) -> Option<Site> {
    let from = line.steps.iter().rposition(|step| line.end - step.ip() >= JUMP_LEN)?;
    let body = line.steps[from..].to_vec();
    // A function may start after padding, or at a mark for indirect branches.
    let plain = |step: &Instruction| {
        step.flow_control() == FlowControl::Next
            && !matches!(step.mnemonic(), Mnemonic::Nop | Mnemonic::Endbr64 | Mnemonic::Syscall)
    };
    body.iter().all(plain).then_some(Site { body, call: line.end, number: Number::Unknown })
}

/// Addresses at which a number of ours seems to be loaded into eax.
fn number_loads(code: &[u8], base: u64) -> Vec<u64> {
    // Numbers of the same upper bytes are looked for at once, by these.
    let high = memmem::find_iter(code, &[0x01, 0x00, 0x00]).filter_map(|tail| tail.checked_sub(1));
    let small = NUMBERS.iter().filter(|number| **number < 0x100);
    let low = small.flat_map(|&number| {
        let forms: [&[u8]; 2] =
            [&[0xb8, number as u8, 0, 0, 0], &[0xc7, 0xc0, number as u8, 0, 0, 0]];
        forms
            .into_iter()
            .flat_map(|form| {
                memmem::find_iter(code, form).map(|at| at + form.len() - 4).collect::<Vec<_>>()
            })
            .collect::<Vec<_>>()
    });
    let load = |at: usize| {
        let number = code.get(at..at + 4)?;
        let number = u32::from_le_bytes([number[0], number[1], number[2], number[3]]);
        if !NUMBERS.contains(&number) {
            return None;
        }
        let before = |n: usize| at.checked_sub(n).map(|at| code[at]);
        match (before(3), before(2), before(1)) {
            (Some(0x48), Some(0xc7), Some(0xc0)) => Some(base + at as u64 - 3),
            (_, _, Some(0xb8)) => Some(base + at as u64 - 1),
            _ => None,
        }
    };
    high.chain(low).filter_map(load).collect()
}

/// What decodes code.
struct Finder<'a> {
    code: &'a [u8],
    base: u64,
    function: &'a dyn Fn(u64) -> Option<(u64, u64)>,
    info: InstructionInfoFactory,
}

impl Finder<'_> {
    /// Decodes from an address on.
    fn decoder(&self, at: u64) -> Option<Decoder<'_>> {
        let rest = self.code.get(at.checked_sub(self.base)? as usize..)?;
        Some(Decoder::with_ip(64, rest, at, DecoderOptions::NONE))
    }

    /// The instructions from `start` to `end`, or to the first that passes it.
    fn decode(&self, start: u64, end: u64) -> Vec<Instruction> {
        let mut steps = Vec::new();
        let Some(mut decoder) = self.decoder(start) else { return steps };
        while decoder.can_decode() && decoder.ip() < end {
            steps.push(decoder.decode());
        }
        steps
    }

    /// What leads to the instruction at `at`; None if none starts there.
    fn line(&self, at: u64) -> Option<Line> {
        let line = |start, function_end, certain| {
            let steps = self.decode(start, at);
            let met = start == at || steps.last().is_some_and(|last| last.next_ip() == at);
            met.then_some(Line { steps, end: at, function_end, certain })
        };
        if let Some((start, end)) = (self.function)(at) {
            return line(start, end, true);
        }
        // Decodings that begin at several places agree soon; most have to meet the address.
        let first = at.saturating_sub(FAR).max(self.base);
        let end = (at + AROUND).min(self.base + self.code.len() as u64);
        let mut lines: Vec<Line> =
            (first..at.min(first + STARTS)).filter_map(|start| line(start, end, false)).collect();
        if lines.len() as u64 * 2 < STARTS.min(at - first) {
            return None;
        }
        let line = if lines.is_empty() { line(at, end, false)? } else { lines.swap_remove(0) };
        let after = self.decode(at, (at + FAR).min(end));
        let is_code = |step: &Instruction| !step.is_invalid() && !step.is_privileged();
        // The first ones may be halves of others.
        line.steps.iter().skip(DATA / 2).all(is_code).then_some(())?;
        after.iter().take(DATA).all(is_code).then_some(line)
    }

    /// Decodes from the load of a number at `start` along the straight line to its `syscall`.
    fn follow(&mut self, start: u64) -> Option<Site> {
        let mut decoder = self.decoder(start)?;
        let load = decoder.decode();
        if !loads_number(&load) {
            return None;
        }
        let mut body = vec![load];
        let mut info = InstructionInfoFactory::new();
        for _ in 0..BODY_MAX {
            if !decoder.can_decode() {
                return None;
            }
            let next = decoder.decode();
            match next.code() {
                Code::Syscall => {
                    let number = if CLOSING.contains(&loaded_number(&load)) {
                        Number::Closing
                    } else {
                        Number::Ring
                    };
                    return Some(Site { body, call: next.ip(), number });
                }
                Code::Jmp_rel8_64 | Code::Jmp_rel32_64 => {
                    decoder = self.decoder(next.near_branch_target())?;
                }
                Code::INVALID => return None,
                _ if next.flow_control() != FlowControl::Next => return None,
                _ if writes(&next, Register::RAX, &mut info) => return None,
                _ => body.push(next),
            }
        }
        None
    }

    /// The ways to a call on which its number is a constant, and not io_uring's.
    fn constant_numbers(&mut self, line: &Line, call: u64) -> Vec<Site> {
        let near = line.steps.iter().rev().take_while(|step| call - step.ip() <= REACH);
        let other =
            |step: &&Instruction| loads_number(step) && !NUMBERS.contains(&loaded_number(step));
        let loads: Vec<Instruction> = near.filter(other).copied().collect();
        let ways = loads.iter().filter_map(|load| self.follow(load.ip()));
        ways.filter(|site| site.call == call).collect()
    }

    /// The number, not io_uring's, that the compiler keeps in a register, to make the same call at several
    /// places: loaded with a constant before, and nowhere in the function with one of io_uring's.
    fn kept_number(&mut self, line: &Line) -> Option<u32> {
        let info = &mut self.info;
        let at = line.steps.iter().rposition(|step| writes(step, Register::RAX, info))?;
        let number = &line.steps[at];
        let is_move = matches!(number.code(), Code::Mov_r32_rm32 | Code::Mov_rm32_r32)
            && number.op0_register() == Register::EAX;
        let register = number.op1_register();
        if !is_move || register == Register::None {
            return None;
        }
        let loads = |step: &Instruction| {
            step.code() == Code::Mov_r32_imm32 && step.op0_register() == register
        };
        let full = register.full_register();
        let load = line.steps[..at].iter().rev().find(|step| writes(step, full, info))?;
        let after = self.decode(line.end, line.function_end);
        let mut all = line.steps.iter().chain(&after);
        let ours = |step: &Instruction| loads(step) && NUMBERS.contains(&step.immediate32());
        (loads(load) && !all.any(ours)).then(|| load.immediate32())
    }
}

/// `mov eax, imm32`, `mov rax, imm32`, or `xor eax, eax`.
fn loads_number(load: &Instruction) -> bool {
    matches!(load.code(), Code::Mov_r32_imm32 | Code::Mov_rm64_imm32 | Code::Mov_rm32_imm32)
        && matches!(load.op0_register(), Register::EAX | Register::RAX)
        || matches!(load.code(), Code::Xor_r32_rm32 | Code::Xor_rm32_r32)
            && load.op0_register() == Register::EAX
            && load.op1_register() == Register::EAX
}

/// The number that such an instruction loads.
fn loaded_number(load: &Instruction) -> u32 {
    if load.op1_kind() == OpKind::Register { 0 } else { load.immediate32() }
}

/// Whether an instruction changes a register, given in its full width.
fn writes(instruction: &Instruction, full: Register, info: &mut InstructionInfoFactory) -> bool {
    info.info(instruction).used_registers().iter().any(|used| {
        used.register().full_register() == full
            && !matches!(used.access(), OpAccess::Read | OpAccess::CondRead | OpAccess::None)
    })
}

#[cfg(test)]
mod tests;
