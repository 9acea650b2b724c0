"""The console: a web application in which operators see what is live, compare, review, and roll back.

It is a client of the GraphQL API, and knows nothing else of Pricebook: it runs wherever the API can be reached, and
acts in the name of the person who signed in.
"""
