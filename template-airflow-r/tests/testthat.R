# Yours: no update of the template changes this file.
# Runs the tests: in the image, for dagkit test, and in a terminal.
#
# Rscript tests/testthat.R            all of them
# Rscript tests/testthat.R summarise  those of test-summarise.R

chosen <- commandArgs(trailingOnly = TRUE)
testthat::test_dir(
  "tests/testthat",
  filter = if (length(chosen) > 0) chosen[[1]],
  reporter = "summary",
  stop_on_failure = TRUE
)
