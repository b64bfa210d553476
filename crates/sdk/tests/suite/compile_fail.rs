//! What must not compile, and what the compiler says. After a change of the messages, or of the
//! compiler, `TRYBUILD=overwrite` writes them anew.

#[test]
fn mistakes_of_an_author_do_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
