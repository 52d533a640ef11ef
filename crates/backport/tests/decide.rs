//! Eight generated branches and three fixes: every verdict, every way of being there already, of
//! applying and of conflicting.

mod world;

use ringfence_backport::facts::Apply;
use ringfence_backport::merge::Rung;
use ringfence_backport::repo::run::{Options, run};
use ringfence_backport::report::{Judged, Report};
use ringfence_backport::settled::Whole;
use ringfence_backport::there::Way;
use ringfence_backport::verdict::Verdict;
use world::{ADA, BOB, World};

/// Some code with room between the places that change.
const ENGINE: &str = "\
#include \"engine.h\"

static int depth;

int engine_open(struct engine *e)
{
	e->users = 1;
	e->state = STATE_OPEN;
	return 0;
}

int engine_submit(struct engine *e, int count)
{
	int done = 0;

	while (done < count) {
		struct request *r = next_request(e);

		done += start_request(r);
	}
	return done;
}

int engine_lookup(struct engine *e, int id)
{
	struct context *c = e->table[id];

	if (c && c->id == id)
		get_reference(c);
	return c ? c->id : -1;
}
";

const PARSE: &str = "\
int parse_header(const char *text)
{
	const char *end = find_end(text);

	copy_header(text, end);
	log_header(text);
	return check_header(text);
}

int parse_body(const char *text)
{
	read_body(text, body_length(text));
	return check_body(text);
}
";

const TABLE: &str = "\
const char *table_names[] = {
	\"alpha\",
	\"delta\",
	\"omega\",
};

int table_find(const char *name, int flags)
{
	int at = hash_name(name, TABLE_SIZE);

	return probe_table(at, flags);
}
";

struct Fixes {
    world: World,
    lookup: String,
    parse: String,
    table: String,
    helper: String,
}

/// The trunk: three places with a fault, and the three fixes.
fn trunk() -> Fixes {
    let mut world = World::new();
    world.write("core/engine.c", &ENGINE.replace("\t\tget_reference(c);", "\t\tpeek_at(c);"));
    world.write("core/parse.c", PARSE);
    world.write("core/table.c", TABLE);
    world.write("core/old.c", "int old_way(void)\n{\n\treturn legacy_call(1);\n}\n");
    world.write("tests/list.mk", "tests = \\\n  test_a \\\n  test_c \\\n  test_f \\\n  # tests\n");
    world.write("NEWS", "Version 1\n");
    world.commit(ADA, "Start");
    world.branch("release/3.0", "HEAD");
    world.checkout("main");
    world.edit("core/engine.c", "\t\tpeek_at(c);", "\t\tget_reference(c);");
    let culprit = world.commit(ADA, "engine: take a reference in lookup");
    world.branch("release/4.0", "HEAD");
    world.checkout("main");
    let header = "#include \"engine.h\"\n\nint tryget_live(struct context *c)\n{\n\treturn c->live ? ++c->users : 0;\n}\n";
    world.edit("core/engine.c", "#include \"engine.h\"\n", header);
    let helper = world.commit(ADA, "engine: add tryget_live");
    for name in
        ["release/9.0", "release/8.0", "release/7.0", "release/6.0", "release/5.0", "release/2.0"]
    {
        world.git(&["branch", name]);
    }
    world.edit(
        "core/engine.c",
        "\t\tget_reference(c);\n",
        "\t\tif (!tryget_live(c))\n\t\t\tc = NULL;\n",
    );
    world.write("NEWS", "Version 1\n* lookup no longer races\n");
    let message = format!(
        "engine: close a race in lookup\n\nA lookup can race with the last put when the context goes away:\nuse-after-free.\n\n\
         Fixes: {} \"engine: take a reference in lookup\"\nReported-by: Eve <eve@example.org>\nSigned-off-by: Ada <ada@example.org>",
        &culprit[..12]
    );
    let lookup = world.commit(ADA, &message);
    world.edit(
        "core/parse.c",
        "\tcopy_header(text, end);\n",
        "\tif (!end || end - text > HEADER_MAX) {\n\t\tlog_overlong(text, HEADER_MAX);\n\t\tcount_overlong(HEADER);\n\t\treturn -1;\n\t}\n\tcopy_header(text, end);\n",
    );
    world.edit("core/parse.c", "\tread_body(text, body_length(text));\n", "\tif (body_length(text) > BODY_MAX) {\n\t\tlog_overlong(text, BODY_MAX);\n\t\tcount_overlong(BODY);\n\t\treturn -1;\n\t}\n\tread_body(text, body_length(text));\n");
    let parse = world.commit(ADA, "parse: check lengths\n\nAn overlong header overflows.");
    world.edit("core/table.c", "hash_name(name, TABLE_SIZE)", "hash_name(name, TABLE_SIZE - 1)");
    world.edit("tests/list.mk", "  test_c \\\n", "  test_c \\\n  test_d \\\n");
    world.edit("core/old.c", "legacy_call(1)", "legacy_call(2)");
    let table = world.commit(BOB, "table: stay in bounds\n\nThe last slot is out of bounds.");
    Fixes { world, lookup, parse, table, helper }
}

/// What the branches did to the code of the first fix.
fn for_lookup(fixes: &mut Fixes) {
    let (world, lookup) = (&mut fixes.world, fixes.lookup.clone());
    world.checkout("release/8.0");
    world.edit(
        "core/engine.c",
        "static int depth;\n",
        "static int depth;\nstatic int width;\nstatic int height;\n",
    );
    world.edit("NEWS", "Version 1\n", "Version 8\n");
    world.commit(BOB, "engine: own counters");
    world.checkout("release/7.0");
    world.edit(
        "core/engine.c",
        "\t\tget_reference(c);\n",
        "\t\tif (!tryget_live(c))\n\t\t\tc = NULL;\n",
    );
    world.commit(BOB, &format!("engine: close a race in lookup\n\n[ Upstream commit {lookup} ]"));
    world.checkout("release/6.0");
    world.git(&["mv", "core/engine.c", "core/motor.c"]);
    world.commit(BOB, "Rename the engine");
    world.checkout("release/5.0");
    world.edit(
        "core/engine.c",
        "\tif (c && c->id == id)\n",
        "\tif (c && c->id == id && !c->dead)\n",
    );
    world.commit(BOB, "engine: skip the dead");
    world.checkout("release/2.0");
    let text = world.read("core/engine.c");
    let (head, _) = text.split_once("int engine_lookup").unwrap();
    let own = format!(
        "{head}int engine_lookup(struct engine *e, int id)\n{{\n\tstruct context *c = find(e, id);\n\n\tif (c)\n\t\tget_reference(&c->ref);\n\treturn c ? id : -1;\n}}\n"
    );
    world.write("core/engine.c", &own);
    world.commit(BOB, "engine: look up by tree");
    world.checkout("main");
}

/// How the second fix got on to the branches.
fn for_parse(fixes: &mut Fixes) {
    let (world, fix) = (&mut fixes.world, fixes.parse.clone());
    let apply = |world: &World| {
        world.edit(
            "core/parse.c",
            "\tcopy_header(text, end);\n",
            "\tif (!end || end - text > HEADER_MAX) {\n\t\tlog_overlong(text, HEADER_MAX);\n\t\tcount_overlong(HEADER);\n\t\treturn -1;\n\t}\n\tcopy_header(text, end);\n",
        );
        world.edit("core/parse.c", "\tread_body(text, body_length(text));\n", "\tif (body_length(text) > BODY_MAX) {\n\t\tlog_overlong(text, BODY_MAX);\n\t\tcount_overlong(BODY);\n\t\treturn -1;\n\t}\n\tread_body(text, body_length(text));\n");
    };
    world.checkout("release/8.0");
    apply(world);
    world.commit(BOB, &format!("parse: lengths\n\ncommit {fix} upstream."));
    world.checkout("release/7.0");
    world.git(&["cherry-pick", "-x", &fix]);
    // Another title, another author, the same change.
    world.checkout("release/6.0");
    apply(world);
    world.commit(BOB, "Harden the parser");
    // The same title; the change is a part of what upstream did.
    world.checkout("release/5.0");
    world.edit(
        "core/parse.c",
        "\tcopy_header(text, end);\n",
        "\tif (!end || end - text > HEADER_MAX) {\n\t\tlog_overlong(text, HEADER_MAX);\n\t\tcount_overlong(HEADER);\n\t\treturn -1;\n\t}\n\tcopy_header(text, end);\n",
    );
    world.commit(ADA, "parse: check lengths");
    // One commit with this and more.
    world.checkout("release/4.0");
    apply(world);
    world.edit("core/table.c", "\"omega\"", "\"psi\",\n\t\"omega\"");
    world.edit(
        "core/parse.c",
        "\tlog_header(text);\n",
        "\tlog_header(text);\n\tcount_header(text);\n",
    );
    world.commit(BOB, "Import fixes");
    // The same change in two steps, neither of them a copy.
    world.checkout("release/3.0");
    world.edit(
        "core/parse.c",
        "\tcopy_header(text, end);\n",
        "\tif (!end || end - text > HEADER_MAX) {\n\t\tlog_overlong(text, HEADER_MAX);\n\t\tcount_overlong(HEADER);\n\t\treturn -1;\n\t}\n\tcopy_header(text, end);\n",
    );
    world.commit(BOB, "One");
    world.edit("core/parse.c", "\tread_body(text, body_length(text));\n", "\tif (body_length(text) > BODY_MAX) {\n\t\tlog_overlong(text, BODY_MAX);\n\t\tcount_overlong(BODY);\n\t\treturn -1;\n\t}\n\tread_body(text, body_length(text));\n");
    world.commit(BOB, "Two");
    world.checkout("release/2.0");
    world.git(&["cherry-pick", "-x", &fix]);
    world.git(&["revert", "--no-edit", "HEAD"]);
    world.checkout("main");
    // A branch that left after the fix.
    world.git(&["branch", "-f", "release/9.0", &fix]);
}

/// What the branches did to the code of the third fix.
fn for_table(fixes: &mut Fixes) {
    let world = &mut fixes.world;
    world.checkout("release/8.0");
    world.edit(
        "tests/list.mk",
        "  test_a \\\n  test_c \\\n  test_f \\\n",
        "  test_a \\\n  test_c \\\n",
    );
    world.commit(BOB, "Drop a test");
    world.checkout("release/7.0");
    world.edit("core/table.c", "hash_name(name, TABLE_SIZE)", "hash_string(name, TABLE_SIZE)");
    world.commit(BOB, "table: another hash");
    world.checkout("release/6.0");
    world.git(&["rm", "-q", "core/old.c"]);
    world.commit(BOB, "Drop the old way");
    world.checkout("release/5.0");
    world.edit(
        "core/table.c",
        "int at = hash_name(name, TABLE_SIZE);",
        "int at  =  hash_name(name, TABLE_SIZE);",
    );
    world.commit(BOB, "table: white space");
    world.checkout("release/2.0");
    world.edit("core/table.c", "hash_name(name, TABLE_SIZE)", "hash_name(name, TABLE_SIZE + 7)");
    world.commit(BOB, "table: another size");
    world.checkout("main");
}

fn decide(world: &World, fix: &str) -> Report {
    let globs = ["release/*".to_owned()];
    let options = Options { fix, branches: &globs, ..Options::default() };
    run(&world.repo(), &options, &mut |_| {}).unwrap()
}

fn of<'a>(report: &'a Report, version: &str) -> &'a Judged {
    let name = format!("release/{version}");
    report.branches.iter().find(|branch| branch.facts.name == name).unwrap()
}

fn expect(report: &Report, verdicts: &[(&str, Verdict)]) {
    for (version, verdict) in verdicts {
        let branch = of(report, version);
        let found = branch.judgement.verdict;
        assert_eq!(found, *verdict, "{version}: {:#?}\n{:#?}", branch.judgement.why, branch.facts);
    }
}

#[test]
fn every_verdict() {
    let mut fixes = trunk();
    for_lookup(&mut fixes);
    let report = decide(&fixes.world, &fixes.lookup);
    expect(
        &report,
        &[
            ("9.0", Verdict::Take),
            ("8.0", Verdict::Take),
            ("7.0", Verdict::AlreadyThere),
            ("6.0", Verdict::Adapt),
            ("5.0", Verdict::Adapt),
            ("4.0", Verdict::Prerequisites),
            ("3.0", Verdict::NotAffected),
            ("2.0", Verdict::NeedsPerson),
        ],
    );
    assert_eq!(of(&report, "9.0").facts.apply, Apply::Clean { moved: false, fuzz: false });
    assert_eq!(of(&report, "8.0").facts.apply, Apply::Clean { moved: true, fuzz: false });
    let renamed = vec![("core/engine.c".to_owned(), "core/motor.c".to_owned())];
    assert_eq!(of(&report, "6.0").facts.apply, Apply::Renamed { paths: renamed });
    assert_eq!(of(&report, "5.0").facts.apply, Apply::Carried);
    let needed: Vec<_> =
        of(&report, "4.0").facts.prerequisites.iter().map(|named| &named.id).collect();
    assert_eq!(needed, [&fixes.helper]);
    assert_eq!(of(&report, "4.0").facts.patches.len(), 2);
    assert!(matches!(of(&report, "2.0").facts.apply, Apply::Conflict { .. }));
}

#[test]
fn every_way_of_being_there_already() {
    let mut fixes = trunk();
    for_parse(&mut fixes);
    let report = decide(&fixes.world, &fixes.parse);
    let ways =
        |version: &str| of(&report, version).facts.copy.as_ref().map(|copy| copy.ways.clone());
    let there = |version| (version, Verdict::AlreadyThere);
    expect(&report, &["9.0", "8.0", "7.0", "6.0", "5.0", "4.0", "3.0"].map(there));
    assert_eq!(ways("9.0").unwrap(), [Way::Ancestor]);
    assert_eq!(ways("8.0").unwrap()[0], Way::Trailer);
    assert_eq!(ways("7.0").unwrap()[0], Way::Trailer);
    assert!(ways("7.0").unwrap().contains(&Way::Authorship));
    assert_eq!(ways("6.0").unwrap()[0], Way::PatchId);
    assert_eq!(ways("5.0").unwrap(), [Way::Title]);
    assert!(of(&report, "3.0").facts.no_change);
    assert_eq!(ways("3.0"), None);
    let reverted = of(&report, "2.0");
    assert_eq!(reverted.judgement.verdict, Verdict::NeedsPerson);
    assert!(reverted.facts.copy.as_ref().unwrap().reverted_by.is_some());
    assert_eq!(ways("4.0").unwrap(), [Way::Containment]);
}

#[test]
fn every_way_of_conflicting() {
    let mut fixes = trunk();
    for_table(&mut fixes);
    let report = decide(&fixes.world, &fixes.table);
    expect(
        &report,
        &[
            ("9.0", Verdict::Take),
            ("8.0", Verdict::Adapt),
            ("7.0", Verdict::Adapt),
            ("6.0", Verdict::Adapt),
            ("5.0", Verdict::Adapt),
            ("2.0", Verdict::NeedsPerson),
        ],
    );
    let rungs = |version: &str| -> Vec<Rung> {
        of(&report, version)
            .facts
            .settled
            .iter()
            .flat_map(|file| file.steps.iter().map(|step| step.0))
            .collect()
    };
    assert_eq!(rungs("8.0"), [Rung::Neighbours]);
    assert_eq!(rungs("7.0"), [Rung::Words]);
    assert_eq!(rungs("5.0"), [Rung::Spacing]);
    assert_eq!(of(&report, "6.0").facts.settled[0].whole, Some(Whole::NotOnBranch));
}
