# Yours: no update of the template changes this file.
# An example to grow from: read a CSV from S3, summarise it, write the result to S3.
#
# FROM=s3://... TO=s3://...
#
# Its exit codes are those of run.R.

for (file in list.files("R", pattern = "[.]R$", full.names = TRUE)) {
  source(file)
}

main(function() {
  from <- path_of("FROM")
  to <- path_of("TO")
  summary <- summarise_hearings(read_csv_from_s3(from))
  write_csv_to_s3(summary, to)
  paste("summarised the hearings of", nrow(summary), "courts in", to)
})
