# Yours: no update of the template changes this file.
# Tests of scripts/summarise.R and the function it calls

test_that("each court has one row", {
  hearings <- data.frame(court = c("Leeds", "Cardiff", "Leeds"), minutes = c(30, 45, 41))
  expect_equal(
    summarise_hearings(hearings),
    data.frame(court = c("Cardiff", "Leeds"), hearings = c(1L, 2L), mean_minutes = c(45, 35.5))
  )
})

test_that("a column that is missing or wrong is named", {
  expect_error(summarise_hearings(data.frame(court = "Leeds")), "no column called minutes")
  expect_error(
    summarise_hearings(data.frame(court = "Leeds", minutes = "long")),
    "minutes holds something"
  )
})

test_that("the script reads a CSV from S3 and writes the summary to S3", {
  s3 <- local_s3()
  writeLines(c("court,minutes", "Leeds,30", "Leeds,41"), file.path(s3, "my-bucket/hearings.csv"))
  ran <- run_script(
    "scripts/summarise.R",
    c(FROM = "s3://my-bucket/hearings.csv", TO = "s3://my-bucket/out/summary.csv")
  )
  expect_equal(ran$out, "summarised the hearings of 1 courts in s3://my-bucket/out/summary.csv")
  expect_equal(
    utils::read.csv(file.path(s3, "my-bucket/out/summary.csv")),
    data.frame(court = "Leeds", hearings = 2L, mean_minutes = 35.5)
  )
})
