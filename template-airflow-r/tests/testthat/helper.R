# Yours: no update of the template changes this file.
# testthat runs this before the tests: it loads the functions of R/, and makes an S3 to test with.

for (file in list.files("../../R", pattern = "[.]R$", full.names = TRUE)) {
  source(file)
}

# In one test: `aws` is tests/testthat/bin/aws, which keeps "S3" in a folder. Returns that folder.
local_s3 <- function(bucket = "my-bucket", frame = parent.frame()) {
  folder <- withr::local_tempdir(.local_envir = frame)
  dir.create(file.path(folder, bucket))
  path <- paste(normalizePath("bin"), Sys.getenv("PATH"), sep = .Platform$path.sep)
  withr::local_envvar(PATH = path, FAKE_S3 = folder, .local_envir = frame)
  folder
}

# What running a script gives: its exit code, and what it printed as a result and as an error
run_script <- function(script, variables = character()) {
  nothing <- c(RUN = NA, TEXT = NA, OUTPATH = NA, FROM = NA, TO = NA)
  nothing[names(variables)] <- variables
  withr::local_envvar(nothing)
  withr::local_dir("../..")
  output <- withr::local_tempfile(lines = "")
  errors <- withr::local_tempfile(lines = "")
  rscript <- file.path(R.home("bin"), "Rscript")
  code <- suppressWarnings(
    system2(rscript, c("--no-init-file", script), stdout = output, stderr = errors)
  )
  list(code = code, out = readLines(output), err = readLines(errors))
}
