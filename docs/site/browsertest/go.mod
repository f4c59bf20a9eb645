// The tests of the web site of the documents in a browser.
module github.com/tinyio-go/tinyio/docs/site/browsertest

go 1.25.0

require (
	github.com/chromedp/chromedp v0.23.1
	github.com/tinyio-go/tinyio/debug/browsertest v0.0.0
)

require (
	github.com/chromedp/cdproto v0.160.1 // indirect
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
)

replace (
	github.com/tinyio-go/tinyio => ../../..
	github.com/tinyio-go/tinyio/debug/browsertest => ../../../debug/browsertest
)
