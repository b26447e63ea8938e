//! What compiles and what does not, and how that is said.

/// Every rule of the attribute has a file in `ui/fail`; read its `.stderr` as a user would.
#[test]
fn mistakes_are_reported_with_the_fix() {
    trybuild::TestCases::new().compile_fail("tests/ui/fail/*.rs");
}

/// Programs under settings that a test of this workspace cannot have.
#[test]
fn programs_compile() {
    trybuild::TestCases::new().pass("tests/ui/pass/*.rs");
}
